use rca_engine::redact::Redactor;

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.is_empty() && !line.starts_with("# "))
}

#[test]
fn no_secret_of_the_corpus_is_missed() {
    let redactor = Redactor::new();
    let mut missed = Vec::new();
    for line in lines(include_str!("../../../../fixtures/redaction/positive.txt")) {
        let line = line.replace("@@", "");
        let (before, rest) = line.split_once('«').expect("a mark");
        let (secret, after) = rest.split_once('»').expect("a mark");
        let plain = format!("{before}{secret}{after}");
        let redacted = redactor.redact_line(&plain);
        let mut streamed = Vec::new();
        let mut stream = Redactor::new();
        stream.push(plain.as_bytes(), &mut streamed);
        let redactions = stream.finish(&mut streamed);
        let visible = redacted
            .split("[REDACTED:")
            .enumerate()
            .map(|(index, part)| if index == 0 { part } else { part.split_once(']').expect("a bracket").1 })
            .collect::<String>();
        let keeps_piece = secret
            .as_bytes()
            .windows(6)
            .any(|piece| visible.as_bytes().windows(6).any(|other| other == piece));
        if redacted.contains(secret)
            || keeps_piece
            || !redacted.contains("[REDACTED:")
            || redactions.count != 1
            || streamed != redacted.as_bytes()
            || !redacted.starts_with(before)
        {
            missed.push(format!("{plain}\n    -> {redacted} ({redactions:?})"));
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}

#[test]
fn nothing_else_of_the_corpus_is_touched() {
    let redactor = Redactor::new();
    let text = include_str!("../../../../fixtures/redaction/negative.txt");
    let alarms: Vec<_> = lines(text)
        .map(|line| redactor.redact_line(line))
        .filter(|line| line.contains("[REDACTED:"))
        .collect();
    assert!(alarms.is_empty(), "{} false alarms:\n{}", alarms.len(), alarms.join("\n"));
    let (whole, redactions) = redactor.redact_text(text);
    assert_eq!(whole, text);
    assert_eq!(redactions.count, 0);
}
