//! Shells, files, permissions and settings.
//!
//! **What:** commands that are not found, files that do not exist, missing variables, wrong options.
//! **Why:** the shell names the command or the file; the exit code only repeats the kind.
//! **What to do:** install the tool, correct the path, or provide the variable in the job's settings.

use crate::report::Category::{
    ArtifactCache, ConfigError, MissingFile, MissingTool, Permission, ScriptError, ToolchainVersion,
};
use crate::rules::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("shell.not_found", MissingTool, 84, &["command not found", ": not found", "is not recognized as", "executable file not found", "CommandNotFoundException", "spawn "], r"(?:^(?:\S+: )?(?:line \d+: |\d+: )?(?P<package>[\w./+-]+): (?:command )?not found$|^(?:/bin/)?(?:ba|z|da)?sh: (?:\d+: |line \d+: )?\S+: (?:command )?not found|command not found: \S+|is not recognized as an internal|is not recognized as (?:the name|a name) of a cmdlet|executable file not found in \$?%?PATH|spawn \S+ ENOENT)")
        .span(1, 0)
        .tested(&["sh: 1: pnpm: not found", "bash: line 3: foo: command not found", "/b/x.sh: line 3: mvn: command not found", "Error: spawn yarn ENOENT"], &["page not found", "file: not found here"]),
    Rule::cause("shell.no_interpreter", MissingTool, 80, &["bad interpreter", "/usr/bin/env: "], r"(?:: bad interpreter: |^/usr/bin/env: ['‘]?\S+?['’]?: No such file)")
        .tested(&["./x.sh: /bin/fish: bad interpreter: No such file or directory", "/usr/bin/env: 'node': No such file or directory"], &["interpreter ok"]),
    Rule::cause("shell.exec_format", ConfigError, 83, &["cannot execute binary file", "xec format error"], r"(?:cannot execute binary file|[Ee]xec format error)")
        .with_advice("The file was built for another processor or is no program.", "Build or fetch it for the runner's architecture, or begin the script with `#!`.")
        .span(1, 0)
        .tested(&["./till: cannot execute binary file: Exec format error"], &["execute binary"]),
    Rule::cause("shell.permission", Permission, 80, &["Permission denied", "permission denied", "EACCES", "Operation not permitted", "EPERM"], r"(?:^(?:\S+: )?(?:line \d+: )?\S+: [Pp]ermission denied$|[Pp]ermission denied$|Error: EACCES: |Error: EPERM: |: Operation not permitted$|PermissionError: |(?:dial unix|open|mkdir) \S+: (?:connect: )?permission denied)")
        .span(1, 0)
        .tested(&["bash: line 1: ./publish.sh: Permission denied", "Error: EACCES: permission denied, mkdir '/x'"], &["permission denied? no"]),
    Rule::cause("shell.no_file", MissingFile, 68, &["No such file or directory", "cannot stat", "cannot access", "ENOENT", "cannot find the path", "cannot find the file", "does not exist"], r"(?:^(?:\S+: )*(?:line \d+: )?.*: No such file or directory$|^No such file or directory: '.+'|cannot stat '|ENOENT: no such file|FileNotFoundError: |FileNotFoundException|The system cannot find the (?:path|file)|cannot access '.+': No such)")
        .tested(&["cat: menu.txt: No such file or directory", "cp: cannot stat 'menu.pdf': No such file or directory", "No such file or directory: 'menu.pl'"], &["if no such file exists"]),
    Rule::cause("shell.unbound", ConfigError, 86, &["unbound variable", "parameter null or not set", "parameter not set"], r"^(?:\S+: )?line \d+: (?P<package>[\w{}\[\]@*]+): (?:unbound variable|parameter null or not set|parameter not set)|: (?:unbound variable|parameter (?:null or )?not set)$")
        .tested(&["./publish.sh: line 6: TILL_REGION: unbound variable"], &["unbound variables are allowed"]),
    Rule::cause("shell.syntax", ScriptError, 80, &["syntax error near", "syntax error: ", "unexpected end of file", "unexpected EOF while"], r"(?:line \d+: syntax error|syntax error near unexpected token|[Ss]yntax error: (?:unexpected|\S+ unexpected)|unexpected EOF while looking)")
        .span(0, 1)
        .tested(&["./x.sh: line 3: syntax error near unexpected token `fi'"], &["syntax ok"]),
    Rule::cause("config.missing_setting", ConfigError, 72, &["environment variable", "Missing required", "missing required", "Input required and not supplied", "secret"], r"(?i)(?:^(?:error: )?(?:\S+ )?(?:required )?environment variables? \S+ (?:is|are|was) (?:not set|missing|required)|^(?:error: )?missing required (?:\w+ )?(?:env|environment|input|parameter|argument|option|variable|secret)|Input required and not supplied: )")
        .tested(&["Error: Input required and not supplied: token", "Environment variable API_URL is not set", "error: missing required argument: --x"], &["set the environment variable"]),
    Rule::cause("config.invalid_yaml", ConfigError, 78, &["yaml", "YAML"], r"(?i)(?:yaml: line \d+:|error (?:parsing|converting) yaml|invalid yaml|yaml\.(?:scanner|parser)\.\w+Error|Invalid workflow file)")
        .span(0, 2)
        .tested(&["error: yaml: line 12: did not find expected key"], &["yaml ok"]),
    Rule::cause("config.unknown_option", ConfigError, 72, &["unknown option", "unrecognized option", "invalid option", "unknown flag", "unrecognized arguments", "Unknown argument", "unexpected argument", "No such option"], r"(?i)(?:^(?:\S+: )*(?:unknown|unrecognized|invalid|illegal) (?:option|flag|argument)s?\b|error: unexpected argument|^(?:Error: )?No such option)")
        .span(0, 1)
        .tested(&["error: unknown option '--foo'", "tar: unrecognized option '--x'", "Error: unknown flag: --foo"], &["print unknown options"]),
    Rule::cause("config.version", ToolchainVersion, 70, &["Unable to find", "not found in", "No matching version", "is not supported", "Version "], r"^(?:Error: )?(?:Unable to (?:find|locate) (?:\w+ )?version|(?:The )?[Vv]ersion '?\S+'? (?:with arch \S+ |\S+ )?(?:was )?not found|Could not find satisfied version)")
        .tested(&["Error: Unable to find version 99 for node", "Version 3.99 with arch x64 not found"], &["version found"]),
    Rule::cause("artifact.missing", ArtifactCache, 68, &["Unable to find an artifact", "Artifact not found", "No files were found with the provided path", "Unable to download artifact", "Failed to CreateArtifact", "artifact"], r"(?:Unable to (?:find an|download) artifact|Artifact not found for name|^ERROR: (?:Downloading|Uploading) artifacts .* failed|Failed to (?:Create|Finalize)Artifact|No files were found with the provided path.*\.$)")
        .tested(&["Error: Unable to find an artifact with the name: x", "ERROR: Uploading artifacts as \"archive\" to coordinator... failed"], &["artifact found"]),
];
