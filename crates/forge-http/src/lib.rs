//! The HTTP plumbing that all forge adapters share: retries, rate limits, pagination, egress guard, token refresh
