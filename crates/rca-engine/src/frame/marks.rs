//! The markers of each dialect: what begins and ends a step, and how it ended.

use super::Decoder;

/// The CI system that framed a log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// No frame was recognised.
    #[default]
    Plain,
    GithubActions,
    Gitlab,
    Bitbucket,
    Travis,
    Jenkins,
    CircleCi,
    TeamCity,
    Drone,
    Azure,
    Taskcluster,
    Zuul,
}

/// What a line says about the steps of the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A step begins.
    Start(String),
    /// Clean-up begins: it runs whatever happened before.
    Cleanup(String),
    /// The running step ended, without saying how.
    End,
    /// The step runs this command.
    Command(String),
    /// The command ended with this code.
    Exit(i32),
    /// The job failed, with the code if it is known.
    Failed(Option<i32>),
    /// The job passed.
    Passed,
}

impl Dialect {
    /// The name in the report.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::GithubActions => "github-actions",
            Self::Gitlab => "gitlab",
            Self::Bitbucket => "bitbucket",
            Self::Travis => "travis",
            Self::Jenkins => "jenkins",
            Self::CircleCi => "circleci",
            Self::TeamCity => "teamcity",
            Self::Drone => "drone",
            Self::Azure => "azure",
            Self::Taskcluster => "taskcluster",
            Self::Zuul => "zuul",
        }
    }
}

/// Reads the markers of one carriage-return part of a line and returns what is left to show.
#[expect(clippy::collapsible_match, reason = "one arm for each first byte stays readable")]
pub(super) fn read<'a>(part: &'a [u8], decoder: &mut Decoder) -> &'a [u8] {
    match part.first() {
        Some(b's') => {
            // GitLab docs, "custom collapsible sections": section_start:TIME:NAME[options]
            if let Some(rest) = part.strip_prefix(b"section_start:") {
                decoder.name(Dialect::Gitlab);
                let name = text(after_colon(rest));
                let name = name.split('[').next().unwrap_or_default().to_owned();
                let cleanup = matches!(
                    name.as_str(),
                    "cleanup_file_variables"
                        | "after_script"
                        | "archive_cache"
                        | "archive_cache_on_failure"
                        | "upload_artifacts_on_failure"
                        | "upload_artifacts_on_success"
                );
                decoder.events.push(if cleanup { Event::Cleanup(name) } else { Event::Start(name) });
                return b"";
            }
            if part.starts_with(b"section_end:") {
                decoder.name(Dialect::Gitlab);
                decoder.events.push(Event::End);
                return b"";
            }
        }
        Some(b't') => {
            if let Some(name) = part.strip_prefix(b"travis_fold:start:") {
                decoder.name(Dialect::Travis);
                let end =
                    name.iter().position(|byte| !(byte.is_ascii_alphanumeric() || b"._-".contains(byte)));
                let (name, rest) = name.split_at(end.unwrap_or(name.len()));
                let name = text(name);
                let cleanup =
                    ["after_", "cache", "before_cache"].iter().any(|prefix| name.starts_with(prefix));
                decoder.events.push(if cleanup { Event::Cleanup(name) } else { Event::Start(name) });
                return rest;
            }
            if part.starts_with(b"travis_fold:end:") {
                decoder.events.push(Event::End);
                return b"";
            }
            if let Some(rest) = part.strip_prefix(b"travis_time:start:") {
                decoder.name(Dialect::Travis);
                return rest.get(8..).unwrap_or_default();
            }
            if let Some(rest) = part.strip_prefix(b"travis_time:end:") {
                // Some stores drop the carriage return, so that text follows the duration directly.
                let at = memchr::memmem::find(rest, b"duration=").map_or(rest.len(), |at| at + 9);
                let tail = rest.get(at..).unwrap_or_default();
                let digits = tail.iter().take_while(|byte| byte.is_ascii_digit()).count();
                return tail.get(digits..).unwrap_or_default();
            }
        }
        Some(b'#') => {
            // GitHub docs, "workflow commands"; Azure docs, "logging commands".
            if let Some(rest) = part.strip_prefix(b"##[") {
                let Some(close) = rest.iter().position(|&byte| byte == b']') else { return part };
                let (word, rest) = rest.split_at(close);
                let rest = rest.get(1..).unwrap_or_default();
                return command(word, rest, decoder);
            }
            if part.starts_with(b"##teamcity[") {
                decoder.name(Dialect::TeamCity);
                return b"";
            }
        }
        Some(b':') => {
            if part.starts_with(b"::error") {
                decoder.error = true;
                let at = memchr::memmem::find(part.get(7..).unwrap_or_default(), b"::");
                return at.and_then(|at| part.get(at + 9..)).unwrap_or(part);
            }
        }
        Some(b'[') => {
            if let Some(rest) = part.strip_prefix(b"[command]") {
                decoder.name(Dialect::GithubActions);
                decoder.events.push(Event::Command(text(rest)));
                decoder.quiet = true;
                return rest;
            }
            if let Some(rest) = part.strip_prefix(b"[taskcluster:error] ") {
                decoder.name(Dialect::Taskcluster);
                decoder.error = true;
                return rest;
            }
        }
        _ => {}
    }
    if decoder.quiet && decoder.dialect == Dialect::GithubActions && !decoder.in_header {
        decoder.quiet = false;
    }
    part
}

/// A `##[word]` line of GitHub Actions or Azure Pipelines.
fn command<'a>(word: &[u8], rest: &'a [u8], decoder: &mut Decoder) -> &'a [u8] {
    match word {
        b"group" => {
            decoder.name(Dialect::GithubActions);
            if rest.starts_with(b"Run ") {
                decoder.events.push(Event::Start(text(rest)));
                decoder.events.push(Event::Command(text(rest.get(4..).unwrap_or_default())));
                decoder.in_header = true;
            }
            decoder.quiet = decoder.in_header;
            rest
        }
        b"endgroup" => {
            decoder.in_header = false;
            decoder.quiet = false;
            b""
        }
        b"section" => {
            decoder.name(Dialect::Azure);
            if let Some(name) = rest.strip_prefix(b"Starting: ") {
                decoder.events.push(Event::Start(text(name)));
            } else if rest.starts_with(b"Finishing: ") {
                decoder.events.push(Event::End);
            }
            b""
        }
        b"error" => {
            decoder.quiet = false;
            decoder.error = true;
            rest
        }
        b"command" => {
            decoder.events.push(Event::Command(text(rest)));
            rest
        }
        _ => rest,
    }
}

/// Prefixes that tools inside the job add: BuildKit's `#12 3.456 ` and compose's `service_1  | `.
pub(super) fn strip_inner(line: &[u8]) -> &[u8] {
    if let Some(rest) = line.strip_prefix(b"#") {
        let number = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if number > 0 && rest.get(number) == Some(&b' ') {
            let tail = rest.get(number + 1..).unwrap_or_default();
            let time = tail.iter().take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
            if time > 2
                && tail.get(..time).is_some_and(|time| time.contains(&b'.'))
                && tail.get(time) == Some(&b' ')
            {
                return tail.get(time + 1..).unwrap_or_default();
            }
        }
        return line;
    }
    let name = line
        .iter()
        .take(40)
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
        .count();
    if name > 2 && line.get(name - 1).is_some_and(u8::is_ascii_digit) {
        let tail = line.get(name..).unwrap_or_default();
        let spaces = tail.iter().take_while(|byte| **byte == b' ').count();
        if spaces > 0 && tail.get(spaces..).is_some_and(|tail| tail.starts_with(b"| ")) {
            return tail.get(spaces + 2..).unwrap_or_default();
        }
    }
    line
}

/// Reads the markers that are ordinary text.
#[expect(clippy::collapsible_match, reason = "one arm for each first byte stays readable")]
pub(super) fn read_text(line: &str, decoder: &mut Decoder) {
    let Some(&first) = line.as_bytes().first() else { return };
    match first {
        b'$' => {
            if let Some(command) = line.strip_prefix("$ ") {
                decoder.events.push(Event::Command(command.to_owned()));
            }
        }
        b'+' => {
            if let Some(command) = line.strip_prefix("+ ")
                && !matches!(decoder.dialect, Dialect::GithubActions | Dialect::Taskcluster)
            {
                decoder.events.push(Event::Command(command.to_owned()));
            }
        }
        b'B' => {
            if line == "Build teardown script:" {
                decoder.name(Dialect::Bitbucket);
                decoder.events.push(Event::Cleanup("Build teardown".to_owned()));
            } else if let Some(rest) = line.strip_prefix("Bash exited with code '")
                && let Some(code) = leading_number(rest)
            {
                decoder.events.push(Event::Exit(code));
            } else if line.starts_with("Build step '") && line.ends_with("marked build as failure") {
                decoder.events.push(Event::Exit(1));
                decoder.events.push(Event::Cleanup("post-build actions".to_owned()));
            }
        }
        b'R' => {
            if line.starts_with("Runtime build") {
                decoder.name(Dialect::Bitbucket);
            } else if line.starts_with("Running with gitlab-runner") {
                decoder.name(Dialect::Gitlab);
            } else if line.starts_with("Running as SYSTEM") {
                decoder.name(Dialect::Jenkins);
            } else if line.starts_with("Requested labels:") {
                decoder.name(Dialect::GithubActions);
            }
        }
        b'C' => {
            if line.starts_with("Current runner version:") {
                decoder.name(Dialect::GithubActions);
            } else if line.starts_with("Cleaning up orphan processes") {
                decoder.events.push(Event::Cleanup(line.to_owned()));
            } else if line.starts_with("CircleCI received exit code") || line.starts_with("CircleCI") {
                decoder.name(Dialect::CircleCi);
            }
        }
        b'P' => {
            if let Some(rest) = line.strip_prefix("Process completed with exit code ")
                && decoder.error
            {
                decoder.events.push(Event::Exit(leading_number(rest).unwrap_or(1)));
                decoder.events.push(Event::End);
            } else if line.starts_with("Post job cleanup") {
                decoder.events.push(Event::Cleanup(line.to_owned()));
            } else if let Some(rest) = line.strip_prefix("Process exited with code ")
                && let Some(code) = leading_number(rest)
            {
                decoder.events.push(Event::Exit(code));
            }
        }
        b'E' => {
            if let Some(rest) = line.strip_prefix("ERROR: Job failed") {
                let code = rest.strip_prefix(": exit code ").and_then(leading_number);
                decoder.events.push(Event::Failed(code));
            } else if let Some(rest) = line.strip_prefix("ERROR: script returned exit code ") {
                decoder.events.push(Event::Failed(leading_number(rest)));
            } else if let Some(rest) = line.strip_prefix("Exited with code exit status ") {
                decoder.name(Dialect::CircleCi);
                decoder.events.push(Event::Exit(leading_number(rest).unwrap_or(1)));
            }
        }
        b'J' => {
            if line == "Job succeeded" {
                decoder.events.push(Event::Passed);
            }
        }
        b'D' => {
            if let Some(rest) = line.strip_prefix("Done. Your build exited with ") {
                decoder.name(Dialect::Travis);
                match leading_number(rest) {
                    Some(0) => decoder.events.push(Event::Passed),
                    code => decoder.events.push(Event::Failed(code)),
                }
            }
        }
        b'F' => {
            if let Some(result) = line.strip_prefix("Finished: ") {
                decoder.name(Dialect::Jenkins);
                match result {
                    "SUCCESS" => decoder.events.push(Event::Passed),
                    "FAILURE" | "UNSTABLE" | "ABORTED" => decoder.events.push(Event::Failed(None)),
                    _ => {}
                }
            }
        }
        b'S' => {
            if line.starts_with("Started by ") {
                decoder.name(Dialect::Jenkins);
            }
        }
        b'T' => {
            if line.starts_with("The command \"")
                && let Some((_, code)) = line.rsplit_once("exited with ")
                && let Some(code) = leading_number(code)
            {
                decoder.events.push(Event::Exit(code));
                decoder.events.push(Event::End);
            }
        }
        b'[' => {
            if let Some(rest) = line.strip_prefix("[Pipeline] ") {
                decoder.name(Dialect::Jenkins);
                if let Some(name) = rest.strip_prefix("{ (") {
                    let name = name.trim_end_matches(')').to_owned();
                    let cleanup = name.starts_with("Declarative: Post");
                    decoder.events.push(if cleanup { Event::Cleanup(name) } else { Event::Start(name) });
                }
            } else if line.starts_with("[taskcluster ") {
                decoder.name(Dialect::Taskcluster);
                if let Some((_, rest)) = line.split_once("Unsuccessful task run with exit code: ") {
                    decoder.events.push(Event::Failed(leading_number(rest)));
                } else if line.contains("Successful task run") {
                    decoder.events.push(Event::Passed);
                }
            } else if line.starts_with("[drone:exec]") || line.starts_with("[step:L") {
                decoder.name(Dialect::Drone);
            }
        }
        b't' => {
            if line.starts_with("took longer than ") {
                decoder.events.push(Event::Failed(None));
            }
        }
        _ => {}
    }
}

fn after_colon(rest: &[u8]) -> &[u8] {
    let at = rest.iter().position(|&byte| byte == b':');
    at.and_then(|at| rest.get(at + 1..)).unwrap_or_default()
}

fn text(bytes: &[u8]) -> String {
    let mut text =
        String::from_utf8_lossy(bytes.get(..300.min(bytes.len())).unwrap_or_default()).into_owned();
    text.retain(|character| !character.is_control());
    text.truncate(text.trim_end().len());
    text
}

fn leading_number(rest: &str) -> Option<i32> {
    let end = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest.get(..end)?.parse().ok()
}
