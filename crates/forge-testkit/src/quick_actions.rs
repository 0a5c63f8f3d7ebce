//! GitLab's quick actions: lines of a note that GitLab executes instead of showing them.

const KNOWN: &[&str] = &[
    "approve",
    "assign",
    "close",
    "due",
    "duplicate",
    "estimate",
    "label",
    "lock",
    "merge",
    "milestone",
    "move",
    "rebase",
    "reopen",
    "run_pipeline",
    "spend",
    "tag",
    "title",
    "todo",
    "unassign",
    "unlabel",
];

/// The text without its quick actions, and those that were executed.
///
/// Line ends are normalised first, as GitLab does, so a lone carriage return begins a line too. Code fences shield.
pub(crate) fn execute(text: &str) -> (String, Vec<String>) {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut fence: Option<(char, usize)> = None;
    let mut kept = Vec::new();
    let mut executed = Vec::new();
    for line in text.split('\n') {
        let start = line.trim_start_matches(' ');
        let mark = start.chars().next().unwrap_or(' ');
        let length = start.chars().take_while(|&letter| letter == mark).count();
        if matches!(mark, '`' | '~') && length >= 3 && line.len() - start.len() < 4 {
            match fence {
                None => fence = Some((mark, length)),
                Some((open, least))
                    if open == mark && length >= least && start.trim_end().len() == length =>
                {
                    fence = None;
                }
                Some(_) => {}
            }
        }
        let command = line.strip_prefix('/').map(|rest| rest.split_whitespace().next().unwrap_or_default());
        match command {
            Some(command) if fence.is_none() && KNOWN.contains(&command) => executed.push(line.to_owned()),
            _ => kept.push(line),
        }
    }
    (kept.join("\n"), executed)
}
