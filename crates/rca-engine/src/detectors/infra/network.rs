//! Networks, certificates, services and registries.
//!
//! **What:** names that do not resolve, refused and reset connections, TLS failures, 5xx and 429 answers.
//! **Why:** the tool that needed the connection fails with its own message after this one.
//! **What to do:** run the job again; if it persists, check address, proxy, certificate and the service.

use crate::report::Category::{Auth, Network, RateLimit, ServiceUnavailable};
use crate::rules::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("network.dns", Network, 84, &["Could not resolve host", "Temporary failure in name resolution", "Name or service not known", "getaddrinfo", "no such host", "could not resolve", "Temporary failure resolving", "UnknownHostException", "nodename nor servname", "bad address '"], r"(?:[Cc]ould not resolve (?:host|proxy)|Temporary failure (?:in name resolution|resolving)|Name or service not known|getaddrinfo (?:ENOTFOUND|EAI_AGAIN|failed)|: no such host|UnknownHostException|nodename nor servname|bad address ')")
        .span(0, 1)
        .tested(&["curl: (6) Could not resolve host: mirror.test.invalid", "dial tcp: lookup x: no such host"], &["resolve host"]),
    Rule::cause("network.curl", Network, 82, &["curl: (", "] SSL ", "] Couldn't", "] Timeout", "] Failed", "wget: "], r"(?:^curl: \((?:5|6|7|18|22|23|28|35|47|51|52|55|56|60|92)\) .+|^\[\d{1,2}\] (?:SSL|Couldn't|Failed|Could|Timeout|Empty).+|^wget: (?:server returned error|unable to|download timed|can't connect|bad))")
        .span(1, 1)
        .tested(&["curl: (22) The requested URL returned error: 404 Not Found", "wget: server returned error: HTTP/1.1 500 Internal Server Error", "[28] Timeout was reached"], &["curl: try 'curl --help'"]),
    Rule::cause("network.refused", Network, 70, &["Connection refused", "Connection reset by peer", "Connection timed out", "Operation timed out", "No route to host", "Network is unreachable", "connection reset", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "i/o timeout", "unexpected EOF", "Connection error", "establish HTTP connection"], r"(?:Connection (?:refused|reset by peer|timed out)|(?:connect|read|write|dial).*Operation timed out|No route to host|Network is unreachable|connect: connection (?:refused|reset)|(?:connect|read) (?:ECONNREFUSED|ECONNRESET|ETIMEDOUT)|dial tcp .*i/o timeout|Connect timeout|Couldn't establish HTTP connection)")
        .tested(&["connect to host x port 22: Connection refused", "dial tcp 10.0.0.1:443: i/o timeout", "Error: connect ECONNREFUSED 127.0.0.1:5432"], &["connection closed cleanly"]),
    Rule::cause("network.tls", Network, 82, &["certificate verify failed", "SSL certificate problem", "x509: ", "certificate has expired", "unable to get local issuer", "PKIX path building failed", "handshake failure", "SSL_ERROR_SYSCALL"], r"(?:certificate verify failed|SSL certificate problem|x509: |certificate has expired|unable to get local issuer|PKIX path building failed|handshake failure|SSL_ERROR_SYSCALL)")
        .tested(&["tls: failed to verify certificate: x509: certificate signed by unknown authority"], &["certificate ok"]),
    Rule::cause("service.5xx", ServiceUnavailable, 76, &["502 Bad Gateway", "503 Service", "504 Gateway", "500 Internal Server Error", "status code 50", "error: 50", "HTTP 50", "HTTP/1.1 50", "Service Unavailable", "response status code 5"], r"(?:\b50[0234] (?:Bad Gateway|Service (?:Temporarily )?Unavailable|Gateway Time-?out|Internal Server Error)|(?:returned error|status code|status|HTTP)[: ]+50[0234]\b)")
        .tested(&["The requested URL returned error: 504", "received unexpected HTTP status: 502 Bad Gateway"], &["took 502 ms"]),
    Rule::cause("service.rate_limit", RateLimit, 86, &["rate limit", "toomanyrequests", "Too Many Requests", "429"], r"(?i)(?:rate limit exceeded|rate limit (?:has been )?(?:reached|hit)|API rate limit|toomanyrequests|\b429\b.{0,20}Too Many|status(?: code)?:? 429|error: 429)")
        .tested(&["toomanyrequests: You have reached your pull rate limit.", "API rate limit exceeded for 1.2.3.4"], &["line 429"]),
    Rule::cause("auth.refused", Auth, 80, &["401 Unauthorized", "authentication required", "Bad credentials", "403 Forbidden", "HTTP 403", "HTTP 401", "is not authorized to perform", "AccessDenied", "Access Denied", "access denied", "Authentication failed", "Invalid credentials", "error: 401", "error: 403", "unauthorized", "invalid username or password", "not accessible by integration", "denied to", "denied: "], r"(?:\b401 Unauthorized|authentication required|Bad credentials|\b403 Forbidden|HTTP 40[13]\b|is not authorized to perform|\bAccessDenied\b|(?:HTTP Basic: )?Access [Dd]enied|[Aa]uthentication failed|[Ii]nvalid (?:credentials|username or password)|returned error: 40[13]|\bunauthorized: |not accessible by integration|remote: Permission to \S+ denied to|\bdenied: (?:requested|permission|access))")
        .span(0, 1)
        .tested(&["gh: Resource not accessible by integration (HTTP 403)", "remote: Permission to a/b.git denied to c.", "unauthorized: authentication required", "User: arn:aws:iam::1:user/till is not authorized to perform: ecr:CreateRepository"], &["authorized"]),
];
