//! The durable part: inbox, jobs with leases, outbox and sealed secrets on SQLite or PostgreSQL
