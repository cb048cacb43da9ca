BEGIN TRANSACTION;
CREATE TABLE comps_environment (
        item_id INTEGER UNIQUE NOT NULL,
        environmentid TEXT NOT NULL,
        name TEXT NOT NULL,
        translated_name TEXT NOT NULL,
        pkg_types INTEGER NOT NULL,
        FOREIGN KEY(item_id) REFERENCES item(id)
    );
CREATE TABLE comps_environment_group (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        environment_id INTEGER NOT NULL,
        groupid TEXT NOT NULL,
        installed INTEGER NOT NULL,
        group_type INTEGER NOT NULL,
        FOREIGN KEY(environment_id) REFERENCES comps_environment(item_id),
        CONSTRAINT comps_environment_group_unique_groupid UNIQUE (environment_id, groupid)
    );
CREATE TABLE comps_group (
        item_id INTEGER UNIQUE NOT NULL,
        groupid TEXT NOT NULL,
        name TEXT NOT NULL,
        translated_name TEXT NOT NULL,
        pkg_types INTEGER NOT NULL,
        FOREIGN KEY(item_id) REFERENCES item(id)
    );
CREATE TABLE comps_group_package (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        group_id INTEGER NOT NULL,
        name TEXT NOT NULL,
        installed INTEGER NOT NULL,
        pkg_type INTEGER NOT NULL,
        FOREIGN KEY(group_id) REFERENCES comps_group(item_id),
        CONSTRAINT comps_group_package_unique_name UNIQUE (group_id, name)
    );
CREATE TABLE config (
        key TEXT PRIMARY KEY,
        value TEXT NOT NULL
    );
INSERT INTO "config" VALUES('version','1.2');
CREATE TABLE console_output (
        id INTEGER PRIMARY KEY,
        trans_id INTEGER REFERENCES trans(id),
        file_descriptor INTEGER NOT NULL,       /* stdout: 1, stderr : 2 */
        line TEXT NOT NULL
    );
CREATE TABLE item (
        id INTEGER PRIMARY KEY,
        item_type INTEGER NOT NULL              /* (enum) 1: rpm, 2: group, 3: env ...*/
    );
INSERT INTO "item" VALUES(1,0);
INSERT INTO "item" VALUES(2,0);
INSERT INTO "item" VALUES(3,0);
INSERT INTO "item" VALUES(4,0);
INSERT INTO "item" VALUES(5,0);
INSERT INTO "item" VALUES(6,0);
CREATE TABLE item_replaced_by (              /* M:N relationship between transaction items */
        trans_item_id INTEGER REFERENCES trans_item(id),
        by_trans_item_id INTEGER REFERENCES trans_item(id),
        PRIMARY KEY (trans_item_id, by_trans_item_id)
    );
INSERT INTO "item_replaced_by" VALUES(8,7);
INSERT INTO "item_replaced_by" VALUES(10,9);
CREATE TABLE repo (
        id INTEGER PRIMARY KEY,
        repoid TEXT NOT NULL            /* repository ID aka 'repoid' */
    );
INSERT INTO "repo" VALUES(1,'hospital-base');
INSERT INTO "repo" VALUES(2,'@System');
CREATE TABLE rpm (
        item_id INTEGER UNIQUE NOT NULL,
        name TEXT NOT NULL,
        epoch INTEGER NOT NULL,                 /* empty epoch is stored as 0 */
        version TEXT NOT NULL,
        release TEXT NOT NULL,
        arch TEXT NOT NULL,
        FOREIGN KEY(item_id) REFERENCES item(id),
        CONSTRAINT rpm_unique_nevra UNIQUE (name, epoch, version, release, arch)
    );
INSERT INTO "rpm" VALUES(1,'kernel',0,'6.1','1.el9','noarch');
INSERT INTO "rpm" VALUES(2,'libviewer',2,'0.9~rc1','1.el9','noarch');
INSERT INTO "rpm" VALUES(3,'viewer',0,'1.4','1.el9','noarch');
INSERT INTO "rpm" VALUES(4,'weak',0,'1.0','1','noarch');
INSERT INTO "rpm" VALUES(5,'kernel',0,'6.2','1.el9','noarch');
INSERT INTO "rpm" VALUES(6,'viewer',0,'1.3','1.el9','noarch');
CREATE TABLE trans (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        dt_begin INTEGER NOT NULL,      /* (unix timestamp) date and time of transaction begin */
        dt_end INTEGER,                 /* (unix timestamp) date and time of transaction end */
        rpmdb_version_begin TEXT,
        rpmdb_version_end TEXT,
        releasever TEXT NOT NULL,       /* var: $releasever */
        user_id INTEGER NOT NULL,       /* user ID (UID) */
        cmdline TEXT,                   /* recorded command line (program, options, arguments) */
        state INTEGER NOT NULL          /* (enum) */
    , comment TEXT DEFAULT '');
INSERT INTO "trans" VALUES(1,1795641047,1795641047,'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855','df126288fd524908731fc5e84f30cf8985a5bd7ba4810e77d9a5ff955d30fb89','9',-1,'',1,'');
INSERT INTO "trans" VALUES(2,1795641047,1795641047,'df126288fd524908731fc5e84f30cf8985a5bd7ba4810e77d9a5ff955d30fb89','c9a59b8758cccbf2faaa666bc1beef727a4846c4ea3969179b40e05cda250ad7','9',-1,'',1,'');
INSERT INTO "trans" VALUES(3,1795641048,1795641048,'c9a59b8758cccbf2faaa666bc1beef727a4846c4ea3969179b40e05cda250ad7','c9a59b8758cccbf2faaa666bc1beef727a4846c4ea3969179b40e05cda250ad7','9',-1,'',1,'');
INSERT INTO "trans" VALUES(4,1795641049,1795641049,'6425d13092598fe0d66acb02c4e2189705d9920d3b574cba3fdf68da617cbc21','92f4fc2917a0204bcb44cb099668a6abb24add885e238daace136e11dbbfad16','9',-1,'',1,'');
INSERT INTO "trans" VALUES(5,1795641049,1795641049,'92f4fc2917a0204bcb44cb099668a6abb24add885e238daace136e11dbbfad16','659574e2c8e55bca58ad880fc99bf4803bef378fde69cde52789a647feb59ce4','9',-1,'',1,'');
INSERT INTO "trans" VALUES(6,1795641050,1795641050,'659574e2c8e55bca58ad880fc99bf4803bef378fde69cde52789a647feb59ce4','1efa715e336b78df8ba0d0a528316604e4ee3ff041cc7852f7eddb2683a9386c','9',-1,'',1,'');
INSERT INTO "trans" VALUES(7,1795641050,1795641050,'1efa715e336b78df8ba0d0a528316604e4ee3ff041cc7852f7eddb2683a9386c','a7dfd52bad1e8f84dc04d4de71af2d0167f07293ff873cb34c9fbb8be9ce5424','9',-1,'',1,'');
INSERT INTO "trans" VALUES(8,1795641051,1795641051,'a7dfd52bad1e8f84dc04d4de71af2d0167f07293ff873cb34c9fbb8be9ce5424','1efa715e336b78df8ba0d0a528316604e4ee3ff041cc7852f7eddb2683a9386c','9',-1,'',1,'');
INSERT INTO "trans" VALUES(9,1795641078,1795641078,'1efa715e336b78df8ba0d0a528316604e4ee3ff041cc7852f7eddb2683a9386c','1efa715e336b78df8ba0d0a528316604e4ee3ff041cc7852f7eddb2683a9386c','9',-1,'',1,'');
INSERT INTO "trans" VALUES(10,1795641078,1795641078,'1efa715e336b78df8ba0d0a528316604e4ee3ff041cc7852f7eddb2683a9386c','1efa715e336b78df8ba0d0a528316604e4ee3ff041cc7852f7eddb2683a9386c','9',-1,'',1,'');
INSERT INTO "trans" VALUES(11,1795641079,1795641079,'1efa715e336b78df8ba0d0a528316604e4ee3ff041cc7852f7eddb2683a9386c','1efa715e336b78df8ba0d0a528316604e4ee3ff041cc7852f7eddb2683a9386c','9',-1,'',1,'');
CREATE TABLE trans_item (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        trans_id INTEGER REFERENCES trans(id),
        item_id INTEGER REFERENCES item(id),
        repo_id INTEGER REFERENCES repo(id),
        action INTEGER NOT NULL,                                /* (enum) */
        reason INTEGER NOT NULL,                                /* (enum) */
        state INTEGER NOT NULL                                  /* (enum) */
    );
INSERT INTO "trans_item" VALUES(1,1,1,1,1,2,1);
INSERT INTO "trans_item" VALUES(2,1,2,1,1,1,1);
INSERT INTO "trans_item" VALUES(3,1,3,1,1,2,1);
INSERT INTO "trans_item" VALUES(4,1,4,1,1,2,1);
INSERT INTO "trans_item" VALUES(5,2,5,1,1,2,1);
INSERT INTO "trans_item" VALUES(6,3,4,1,11,1,1);
INSERT INTO "trans_item" VALUES(7,4,6,1,2,2,1);
INSERT INTO "trans_item" VALUES(8,4,3,2,3,2,1);
INSERT INTO "trans_item" VALUES(9,5,1,1,9,2,1);
INSERT INTO "trans_item" VALUES(10,5,1,2,10,2,1);
INSERT INTO "trans_item" VALUES(11,6,4,2,8,2,1);
INSERT INTO "trans_item" VALUES(12,7,4,1,1,2,1);
INSERT INTO "trans_item" VALUES(13,8,4,2,8,2,1);
INSERT INTO "trans_item" VALUES(14,9,6,1,11,1,1);
INSERT INTO "trans_item" VALUES(15,10,6,1,11,2,1);
INSERT INTO "trans_item" VALUES(16,11,5,1,11,1,1);
INSERT INTO "trans_item" VALUES(17,11,1,1,11,1,1);
CREATE TABLE trans_with (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        trans_id INTEGER REFERENCES trans(id),
        item_id INTEGER REFERENCES item(id),
        CONSTRAINT trans_with_unique_trans_item UNIQUE (trans_id, item_id)
    );
CREATE INDEX rpm_name ON rpm(name);
CREATE INDEX trans_item_trans_id ON trans_item(trans_id);
CREATE INDEX trans_item_item_id ON trans_item(item_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('trans',11);
INSERT INTO "sqlite_sequence" VALUES('trans_item',17);
COMMIT;
