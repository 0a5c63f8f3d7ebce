//! GitLab adapter: OAuth and tokens, repositories, webhooks, CI runs and logs, comments and statuses
