//! Databases and their migrations: PostgreSQL, MySQL, Flyway, Liquibase, Prisma, Rails, Alembic, golang-migrate, dbt.
//!
//! **What:** statements that a database refused, migrations that failed, servers that cannot be reached.
//! **Why:** the migration tool wraps the database's own message, which says what is wrong.
//! **What to do:** run the migration on a fresh database; for a server that is not there, wait for it to be healthy.

use crate::report::Category::{Auth, ConfigError, DeployPublish, Network, ScriptError, ServiceUnavailable};
use crate::rules::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("postgres.statement", ScriptError, 80, &["ERROR:  ", "Message    : ERROR: "], r"^(?:psql:(?P<file>[^\s:]+):(?P<line>\d+): |Message    : )?ERROR: +(?P<message>(?:relation|column|function|type|schema|syntax error|duplicate key|null value|insert or update|constraint|database|role|permission denied|cannot|operator|invalid input|value too long|deadlock) ?.+)")
        .span(0, 2)
        .tested(&["psql:schema.sql:12: ERROR:  relation \"drawers\" does not exist", "ERROR:  column \"total\" does not exist"], &["ERROR: x"]),
    Rule::cause("postgres.login", Auth, 84, &["password authentication failed for user", "no pg_hba.conf entry", "role \""], r"(?:password authentication failed for user|no pg_hba\.conf entry for|FATAL: +role \x22[^\x22]+\x22 does not exist)")
        .tested(&["FATAL:  password authentication failed for user \"till\""], &["authentication"]),
    Rule::cause("postgres.unreachable", Network, 80, &["connection to server at \"", "could not connect to server", "Can't reach database server", "database system is starting up", "Can't connect to MySQL server", "Can't connect to local MySQL", "MongoNetworkError", "MongoServerSelectionError", "Error: P1001"], r"(?:connection to server at \x22[^\x22]+\x22.* failed|could not connect to server: |Can't reach database server at|Can't connect to (?:local )?MySQL|Mongo(?:NetworkError|ServerSelectionError): )")
        .span(0, 2)
        .tested(&["Error: P1001: Can't reach database server at `db:5432`", "psql: error: connection to server at \"db\" (10.0.0.2), port 5432 failed: Connection refused"], &["connection to server"]),
    Rule::cause("postgres.starting", ServiceUnavailable, 76, &["the database system is starting up"], r"FATAL: +the database system is starting up")
        .tested(&["FATAL:  the database system is starting up"], &["starting up"]),
    Rule::cause("mysql.statement", ScriptError, 80, &["ERROR 1", "ERROR 2"], r"^ERROR \d{4} \([0-9A-Z]{5}\)(?: at line (?P<line>\d+))?(?: in file: '(?P<file>[^']+)')?: (?P<message>.+)")
        .tested(&["ERROR 1064 (42000) at line 3: You have an error in your SQL syntax"], &["ERROR 1"]),
    Rule::cause("flyway.failed", ScriptError, 78, &["Migration of schema", "Migration V", "Validate failed: "], r"^(?:ERROR: )?(?:Migration of schema .+ failed!|Migration V\S+ failed|Validate failed: )")
        .span(0, 3)
        .tested(&["ERROR: Migration of schema \"public\" to version \"3 - add total\" failed! Changes successfully rolled back."], &["Migration of schema"]),
    Rule::cause("liquibase.failed", ScriptError, 80, &["Migration failed for changeset", "Validation Failed:"], r"(?:Migration failed for changeset \S+|liquibase\.exception\.\w+: Validation Failed:)")
        .span(0, 3)
        .tested(&["Unexpected error running Liquibase: Migration failed for changeset db/3.xml::3::till:"], &["changeset"]),
    Rule::cause("migration.state", ConfigError, 80, &["Dirty database version", "Multiple head revisions", "Conflicting migrations detected", "PendingMigrationError", "Error: P3009", "Error: P3005", "all later migrations canceled"], r"(?:Dirty database version \d+|Multiple head revisions are present|Conflicting migrations detected|PendingMigrationError|Error: P30\d\d\b|all later migrations canceled)")
        .span(0, 3)
        .tested(&["error: Dirty database version 3. Fix and force version.", "CommandError: Conflicting migrations detected; multiple leaf nodes in the migration graph"], &["migrations"]),
    Rule::cause("dbt.failed", DeployPublish, 76, &["Database Error in ", "Compilation Error in ", "Failure in test "], r"(?:Database|Compilation) Error in (?:model|test|seed|snapshot|macro) \S+|Failure in test \S+ \(")
        .span(0, 2)
        .tested(&["  Database Error in model drawer (models/drawer.sql)"], &["Error in x"]),
];
