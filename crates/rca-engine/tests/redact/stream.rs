use proptest::prelude::*;
use rca_engine::redact::{Redactions, Redactor};

fn redact(redactor: &Redactor, text: &[u8], sizes: &[usize]) -> (Vec<u8>, Redactions) {
    let mut redactor = redactor.clone();
    let (mut rest, mut out) = (text, Vec::new());
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (head, tail) = rest.split_at((*size).clamp(1, rest.len()));
        redactor.push(head, &mut out);
        rest = tail;
    }
    let redactions = redactor.finish(&mut out);
    (out, redactions)
}

fn whole(text: &str) -> String {
    String::from_utf8(redact(&Redactor::new(), text.as_bytes(), &[text.len().max(1)]).0).unwrap()
}

/// Assembled, so that no scanner takes this file for a leak.
fn token() -> String {
    format!("gh{}_{}", "p", "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8")
}

#[test]
fn colour_codes_and_carriage_returns_inside_do_not_hide_a_token() {
    let token = token();
    for mark in ["\x1b[31m", "\x1b[0;1m", "\r", "\0", "\x1b[K"] {
        for at in 1..token.len() {
            let (left, right) = token.split_at(at);
            let out = whole(&format!("use {left}{mark}{right} now\n"));
            assert_eq!(out, "use [REDACTED:github-token] now\n", "{mark:?} at {at}");
        }
    }
}

#[test]
fn an_escape_that_was_cut_off_does_not_take_a_letter_of_a_secret() {
    // A terminal reads the first letter as the end of the sequence.
    for escape in ["\x1b[5,", "\x1b[31", "\x1b[", "\x1b"] {
        let redactor = Redactor::new().with_known(["s3cret-Value/x9"]);
        let out = redactor.redact_line(&format!("a {escape}s3cret-Value/x9 b")).into_owned();
        assert!(out.contains("[REDACTED:known-secret] b") && !out.contains("Value"), "{out:?}");
        let out = whole(&format!("a {escape}{} b", token()));
        assert!(out.contains("[REDACTED:github-token] b") && !out.contains("B2c3D4"), "{out:?}");
    }
}

#[test]
fn a_token_wrapped_over_two_lines_is_found_behind_any_prefix() {
    let token = token();
    for prefix in
        ["", "2026-11-20T10:00:00.0000000Z ", "2026-11-20T10:00:00.000000Z 00O+", "web_1  | ", "    "]
    {
        for at in 1..token.len() {
            let (left, right) = token.split_at(at);
            let out = whole(&format!("{prefix}the token {left}\n{prefix}{right}\nnext\n"));
            assert!(!out.contains(left) || at < 4, "{prefix:?} {at}: {out}");
            assert!(!out.contains(right) || token.len() - at < 4, "{prefix:?} {at}: {out}");
            assert_eq!(out.matches("[REDACTED:github-token]").count(), 2, "{out}");
            assert!(out.ends_with("\nnext\n"));
        }
    }
}

#[test]
fn a_key_block_is_dropped_behind_any_prefix_and_line_numbers_hold() {
    let body = ["MIIEpAIBAAKCAQEAx3Jk", "u8Tq0cV2hN5mZrYb7wLsD4eF", "qQ=="];
    for prefix in
        ["", "2026-11-20T10:00:00.0000000Z ", "2026-11-20T10:00:00.000000Z 00O ", "web_1  | ", "[deploy] "]
    {
        for name in ["RSA PRIVATE KEY", "OPENSSH PRIVATE KEY", "PGP PRIVATE KEY BLOCK"] {
            let lines: Vec<String> = [format!("-----BEGIN {name}-----")]
                .into_iter()
                .chain(body.map(String::from))
                .chain([format!("-----END {name}-----"), "after".into()])
                .map(|line| format!("{prefix}{line}\n"))
                .collect();
            let text = lines.concat();
            let (out, redactions) = redact(&Redactor::new(), text.as_bytes(), &[7]);
            let out = String::from_utf8(out).unwrap();
            assert_eq!(out.lines().count(), lines.len());
            for line in body {
                assert!(!out.contains(line), "{out}");
            }
            assert!(out.ends_with(&format!("{prefix}after\n")), "{out}");
            assert_eq!(redactions.count, 1, "{redactions:?}");
        }
    }
}

#[test]
fn known_secrets_are_found_in_every_form() {
    let secret = "Tr0ub4dor&3 /\"+é=x";
    let redactor = Redactor::new().with_known([secret]);
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let percent: String =
        secret
            .bytes()
            .map(|byte| {
                if byte.is_ascii_alphanumeric() {
                    char::from(byte).to_string()
                } else {
                    format!("%{byte:02X}")
                }
            })
            .collect();
    for form in [
        secret.to_owned(),
        serde_json::to_string(secret).unwrap(),
        hex.to_uppercase(),
        hex,
        percent.replace("%20", "+"),
        percent,
    ] {
        let (out, redactions) = redactor.redact_text(&format!("see {form} there\n"));
        assert!(out.contains("[REDACTED:known-secret]"), "{form}: {out}");
        assert!(!out.contains(&form) && redactions.count == 1, "{form}: {out}");
    }
}

#[test]
fn a_line_longer_than_the_window_leaks_nothing_at_a_seam() {
    let token = token();
    for pad in [49_000, 49_100, 49_150, 65_480, 65_500, 65_530, 98_280, 98_300] {
        for step in 0..40 {
            let out = whole(&format!("{} {token} {}", "ab ".repeat((pad + step) / 3), "cd ".repeat(40_000)));
            assert!(!out.contains("B2c3D4"), "{pad} {step}");
            assert_eq!(out.matches("[REDACTED:").count(), 1, "{pad} {step}");
        }
    }
    let out = whole(&format!("token=ghp_{} end\nnext\n", "a1B2c3D4".repeat(60_000)));
    assert!(out == "token=[REDACTED:github-token] end\nnext\n", "{} bytes", out.len());
}

#[test]
fn masks_stay_and_are_not_counted() {
    let text = "password=*** and [MASKED]\nAuthorization: Bearer [MASKED]\n";
    let (out, redactions) = Redactor::new().redact_text(text);
    assert_eq!(out, text);
    assert_eq!(redactions, Redactions::default());
}

fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(token()),
        Just("password=abc123".into()),
        Just("\n".into()),
        Just("\r\n".into()),
        Just("\x1b[31m".into()),
        Just(" ".into()),
        Just("https://u:pw1@h/".into()),
        Just("-----BEGIN RSA PRIVATE KEY-----".into()),
        Just("-----END RSA PRIVATE KEY-----".into()),
        Just("Authorization: Bearer ".into()),
        Just("\"token\": \"".into()),
        Just("Z2hwX2ExQjJjM0Q0ZTVGNmc3SDhpOUowazFMMm0zTjRvNVA2cTdSOA==".into()),
        Just("\r".into()),
        Just("=".into()),
        Just("2026-11-20T10:00:00Z ".into()),
        "[ -~]{0,40}",
        "[A-Za-z0-9+/]{20,80}",
        ".{0,10}",
    ]
}

/// Also halves, so that the lines before and after a secret are clean by themselves.
fn torn() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => piece(),
        1 => Just(token()[..9].to_owned()),
        1 => Just(token()[9..].to_owned()),
        1 => Just("hunter22".into()),
        1 => Just("hunt".into()),
        1 => Just("er22".into()),
        1 => Just("https://user:".into()),
        1 => Just("\x1b[0m\n".into()),
        1 => Just("\0".into()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    #[test]
    fn any_chunking_gives_the_same(pieces in prop::collection::vec(torn(), 0..40), sizes in prop::collection::vec(1..50_usize, 1..8)) {
        let text = pieces.concat();
        let redactor = Redactor::new().with_known(["hunter22"]);
        prop_assert_eq!(redact(&redactor, text.as_bytes(), &sizes), redact(&redactor, text.as_bytes(), &[usize::MAX]));
    }

    #[test]
    fn line_ends_are_kept(bytes in prop::collection::vec(any::<u8>(), 0..2000), pieces in prop::collection::vec(piece(), 0..40)) {
        for text in [bytes, pieces.concat().into_bytes()] {
            let (out, _) = redact(&Redactor::new(), &text, &[64]);
            prop_assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), text.iter().filter(|byte| **byte == b'\n').count());
        }
    }

    #[test]
    fn a_planted_secret_never_survives(secret in "[A-Za-z0-9!#%&/+=_-]{8,120}", before in "[ -~]{0,80}", after in "[ -~]{0,80}", wrap in 0..120_usize) {
        let redactor = Redactor::new().with_known([secret.as_str()]);
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        for form in [secret.clone(), hex] {
            let out = redactor.redact_text(&format!("{before}{form}{after}\n")).0;
            prop_assert!(!out.contains(&form), "{}", out);
        }
        let at = 1 + wrap % (secret.len() - 1);
        let (left, right) = secret.split_at(at);
        let out = redactor.redact_text(&format!("x {left}\x1b[1m{right} y\n")).0;
        prop_assert_eq!(out, "x [REDACTED:known-secret] y\n");
    }

    #[test]
    fn twice_is_once(pieces in prop::collection::vec(piece(), 0..20)) {
        let once = redact(&Redactor::new(), pieces.concat().as_bytes(), &[usize::MAX]).0;
        let twice = redact(&Redactor::new(), &once, &[usize::MAX]).0;
        prop_assert_eq!(String::from_utf8_lossy(&twice), String::from_utf8_lossy(&once));
    }
}

#[test]
fn known_secrets_are_found_in_base64_whatever_stands_around_them() {
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    // Bytes that give `+` and `/`, so that the two alphabets differ.
    let secret = "k>>?x~~9-\u{ff}Zq";
    let redactor = Redactor::new().with_known([secret]);
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "z", "zz", ":end"] {
                let encoded = engine.encode(format!("{before}{secret}{after}"));
                let (out, redactions) = redactor.redact_text(&format!("header: {encoded} end\n"));
                assert_eq!(redactions.kinds["known-secret"], 1, "{before}|{after}");
                // What is left does not give back four bytes of the secret in a row.
                for part in out.split(|character: char| !character.is_ascii_alphanumeric()) {
                    for skip in 0..4.min(part.len()) {
                        let whole = &part[skip..skip + (part.len() - skip) / 4 * 4];
                        let decoded = STANDARD_NO_PAD.decode(whole).unwrap_or_default();
                        assert!(
                            !secret
                                .as_bytes()
                                .windows(4)
                                .any(|piece| decoded.windows(4).any(|other| other == piece))
                        );
                    }
                }
            }
        }
    }
}
