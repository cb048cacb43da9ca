# SPDX-License-Identifier: GPL-3.0-or-later
"""npm packages and Ruby gems, laid out as npm 11 and Debian 12's Ruby 3.1 lay them out."""

import os

import pytest

from ansible_collections.hospital.patching.plugins.module_utils.clock import Clock
from ansible_collections.hospital.patching.plugins.module_utils.host import Host
from ansible_collections.hospital.patching.plugins.module_utils.software import npm_packages, ruby_gems
from ansible_collections.hospital.patching.plugins.module_utils.software.partial import PartialError


@pytest.fixture
def host(tmp_path):
    return Host(None, Clock(), str(tmp_path), "")


def put(host, path, text=""):
    full = os.path.join(host.root, path.lstrip("/"))
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w") as handle:
        handle.write(text)


def test_npm_packages(host):
    put(host, "/usr/lib/node_modules/npm/package.json", '{"version": "11.19.1", "name": "npm", "dependencies": {}}')
    put(host, "/usr/lib/node_modules/npm/node_modules/abbrev/package.json", '{"version": "3.0.0", "name": "abbrev"}')
    put(host, "/usr/local/lib/node_modules/@hl7/parser/package.json", '{"name": "@hl7/parser", "version": "1.0.0"}')
    put(host, "/opt/node/lib/node_modules/pm2/package.json", '{"name": "pm2", "version": "5.3.0"}')
    os.symlink("../../opt/node", os.path.join(host.root, "usr/lib/node_modules/linked"))
    assert npm_packages.collect(host) == [
        {"name": "pm2", "version": "5.3.0", "path": "/opt/node/lib/node_modules/pm2"},
        {"name": "npm", "version": "11.19.1", "path": "/usr/lib/node_modules/npm"},
        {"name": "@hl7/parser", "version": "1.0.0", "path": "/usr/local/lib/node_modules/@hl7/parser"},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"name": "x"}',
        '{"name": 1, "version": "1"}',
        "[" * 100000,
        '{"name": "x' + "x" * 2000000,
    ],
    ids=["empty", "cut", "list", "null", "no version", "number", "deep", "huge"],
)
def test_a_damaged_package_json_is_named(host, text):
    put(host, "/usr/lib/node_modules/bad/package.json", text)
    put(host, "/usr/lib/node_modules/good/package.json", '{"name": "good", "version": "1.0"}')
    with pytest.raises(PartialError, match="node_modules/bad") as caught:
        npm_packages.collect(host)
    assert [package["name"] for package in caught.value.part] == ["good"]


@pytest.mark.parametrize(
    ("file_name", "name", "version", "platform"),
    [
        ("bigdecimal-3.1.1.gemspec", "bigdecimal", "3.1.1", None),
        ("net-http-persistent-4.0.2.gemspec", "net-http-persistent", "4.0.2", None),
        ("nokogiri-1.15.4-x86_64-linux.gemspec", "nokogiri", "1.15.4", "x86_64-linux"),
        ("google-protobuf-3.25.0.rc.1-x86_64-linux.gemspec", "google-protobuf", "3.25.0.rc.1", "x86_64-linux"),
        ("jruby-openssl-0.14.2-java.gemspec", "jruby-openssl", "0.14.2", "java"),
        ("i18n-1.14.1.gemspec", "i18n", "1.14.1", None),
        ("aws-sdk-s3-1.136.0.gemspec", "aws-sdk-s3", "1.136.0", None),
        ("oauth-2-1.0.0.gemspec", "oauth-2", "1.0.0", None),
    ],
)
def test_gems_by_the_names_of_their_specifications(host, file_name, name, version, platform):
    put(host, "/var/lib/gems/3.1.0/specifications/" + file_name)
    (gem,) = ruby_gems.collect(host)
    assert (gem["name"], gem["version"], gem["platform"], gem["default"]) == (name, version, platform, False)
    assert gem["path"] == "/var/lib/gems/3.1.0/specifications/" + file_name


def test_where_gems_are_found(host):
    put(host, "/usr/lib/ruby/gems/3.1.0/specifications/default/bundler-2.3.7.gemspec")
    put(host, "/usr/share/rubygems-integration/all/specifications/rake-13.0.6.gemspec")
    put(host, "/opt/puppetlabs/puppet/lib/ruby/gems/3.2.0/specifications/hiera-3.12.0.gemspec")
    put(host, "/var/lib/gems/3.1.0/specifications/README")
    put(host, "/var/lib/gems/3.1.0/specifications/noversion.gemspec")
    found = [(gem["name"], gem["default"]) for gem in ruby_gems.collect(host)]
    assert found == [("bundler", True), ("hiera", False), ("rake", False)]


def test_too_many_gems_are_told(host, monkeypatch):
    monkeypatch.setattr(ruby_gems, "GEMS", 2)
    for number in range(3):
        put(host, "/var/lib/gems/3.1.0/specifications/a-{}.gemspec".format(number))
    with pytest.raises(PartialError, match="3 gems, more than 2") as caught:
        ruby_gems.collect(host)
    assert [gem["version"] for gem in caught.value.part] == ["0", "1"]


def test_a_host_without_any(host):
    assert npm_packages.collect(host) == []
    assert ruby_gems.collect(host) == []
