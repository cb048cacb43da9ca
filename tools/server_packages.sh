#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Unpack the servers that tests ask into .cache/servers, with the libraries that this machine lacks. Nothing is
# installed: no service starts, no user is made, no file outside of .cache changes, but for apt's package lists.
# .cache/servers/bin holds a command of each that stays in the foreground. Quick and silent about what is there.
set -eu
cd "$(dirname "$0")/.."

packages="dcmtk dnsmasq-base haproxy keepalived nginx orthanc orthanc-postgresql postgresql prometheus-alertmanager slapd"
cache=.cache/servers
stamp="$cache/.packages"
# Packages or wrappers that have changed: all is made again.
digest="$(cksum <"tools/server_packages.sh")"
if [ "$(cat "$stamp" 2>/dev/null)" = "$digest" ]; then
    exit 0
fi

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo "This machine has no apt-get: tests skip the servers it lacks of these Debian packages: $packages."
    exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "Root is needed to fetch packages: tests skip the servers this machine lacks of: $packages."
    exit 0
fi

mkdir -p .cache
new="$(mktemp -d "$PWD/.cache/servers.XXXXXX")"
trap 'rm -rf "$new"' EXIT
trap 'exit 1' HUP INT TERM
chmod 755 "$new" # mktemp's is private, and PostgreSQL runs as another user
mkdir -p "$new/debs/partial" "$new/root/usr/share" "$new/bin"

echo "Unpacking servers for tests, not installed: $packages."
apt-get update -qq
# apt names what is not installed yet, dependencies included, and checks its signatures; --download-only ends there.
# The folder may lie where apt's own user cannot write.
# shellcheck disable=SC2086  # a list of words on purpose
apt-get install -qq -y --download-only --no-install-recommends -o Dir::Cache::archives="$new/debs/" \
    -o APT::Sandbox::User=root $packages >"$new/log" 2>&1 || {
    cat "$new/log" >&2
    echo "apt-get cannot fetch these packages: see above; repair apt's sources and run this again." >&2
    exit 1
}
for deb in "$new"/debs/*.deb; do
    case "${deb##*/}" in
        # PostgreSQL's compiler for long queries, 130 MB, and what must be the machine's own.
        libllvm* | libz3* | libc6_*) ;;
        '*.deb') ;; # all of them are installed
        *) dpkg-deb --extract "$deb" "$new/root" ;;
    esac
done
rm -rf "$new/debs" "$new/log" "$new/root/usr/share/doc" "$new/root/usr/share/man" "$new/root/usr/share/locale"

# DCMTK's and Orthanc's dictionary, where the machine has none.
dictionary="$(find "$new/root/usr/share" -path '*/libdcmtk*/dicom.dic' -printf 'usr/share/%P')"
# A command of each program, which finds the libraries beside it wherever the folder is copied to.
for program in "$new"/root/usr/bin/dcmqrscp "$new"/root/usr/bin/prometheus-alertmanager \
    "$new"/root/usr/sbin/dnsmasq "$new"/root/usr/sbin/haproxy "$new"/root/usr/sbin/keepalived \
    "$new"/root/usr/sbin/nginx \
    "$new"/root/usr/sbin/Orthanc "$new"/root/usr/sbin/slapd \
    "$new"/root/usr/lib/postgresql/*/bin/*; do
    [ -x "$program" ] || continue # the machine has it
    name="${program##*/}"
    run="exec"
    # It reads a file of /usr/share by its full name: in a view of its own, that folder is the one here.
    # shellcheck disable=SC2016  # for the command to expand
    [ "$name" != prometheus-alertmanager ] || run='[ "$(id -u)" -eq 0 ] || view=--map-root-user
exec unshare --mount ${view:-} sh -c '"'"'mount --bind "$0" /usr/share && exec "$@"'"'"' "$root/usr/share"'
    cat >"$new/bin/$name" <<END
#!/bin/sh
root="\$(cd "\$(dirname "\$0")/../root" && pwd)"
libraries=
for folder in "\$root"/lib/*-linux-gnu "\$root"/usr/lib/*-linux-gnu; do
    libraries="\${libraries:+\$libraries:}\$folder"
done
export LD_LIBRARY_PATH="\$libraries"${dictionary:+ DCMDICTPATH=\"\$root/$dictionary\"}
$run "\$root${program#"$new/root"}" "\$@"
END
    chmod 755 "$new/bin/$name"
done

alertmanager="$new/bin/prometheus-alertmanager"
if [ -x "$alertmanager" ] && ! "$alertmanager" --version >/dev/null 2>&1; then
    echo "This machine allows no view of its own to a program (unshare --mount): tests skip Alertmanager."
    rm "$alertmanager"
fi

echo "$digest" >"$new/.packages"
rm -rf "$cache"
mv "$new" "$cache"
trap - EXIT
echo "The servers are ready: $cache ($(du -sh "$cache" | cut -f1))."
