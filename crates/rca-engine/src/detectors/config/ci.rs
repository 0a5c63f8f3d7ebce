//! The CI systems' own settings: workflows, actions, pipelines, plugins and limits.
//!
//! **What:** actions and templates that do not exist, invalid pipeline files, scripts that are not approved.
//! **Why:** nothing of the project ran, so no tool of the project says anything.
//! **What to do:** correct the pipeline file, or the settings of the runner or the plugin.

use crate::report::Category::{ConfigError, Oom, Permission, RunnerLost, ScriptError, Timeout};
use crate::rules::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("github.action", ConfigError, 88, &["Unable to resolve action", "Can't find 'action.yml'", "Can't find action.yml", "An action could not be found", "This request has been automatically failed because it uses a deprecated"], r"(?:Unable to resolve action|Can't find '?action\.yml|An action could not be found at the URI|automatically failed because it uses a deprecated version)")
        .tested(&["##[error]Unable to resolve action `shop/till@v9`, unable to find version `v9`"], &["action"]),
    Rule::cause("github.workflow", ConfigError, 86, &["Invalid workflow file", "The workflow is not valid", "Unexpected input(s)", "Unrecognized named-value", "The template is not valid"], r"(?:Invalid workflow file|The workflow is not valid|The template is not valid|Unrecognized named-value)")
        .span(0, 2)
        .tested(&["The workflow is not valid. .github/workflows/ci.yml (Line: 3, Col: 9)"], &["workflow ok"]),
    Rule::cause("gitlab.preparation", RunnerLost, 82, &["Preparation failed"], r"^ERROR: Preparation failed: (?P<message>.+)")
        .span(1, 1)
        .tested(&["ERROR: Preparation failed: exit status 1"], &["Preparation"]),
    Rule::cause("bitbucket.memory", Oom, 90, &["exceeded memory limit"], r"Container '[^']+' exceeded memory limit")
        .with_advice("A container of the step used more memory than it may.", "Give the step a larger size, or more memory to the service named.")
        .tested(&["Container 'Build' exceeded memory limit."], &["memory limit"]),
    Rule::cause("bitbucket.time", Timeout, 88, &["Exceeded build time limit"], r"Exceeded build time limit of \d+")
        .tested(&["Exceeded build time limit of 45 minutes."], &["time limit"]),
    Rule::cause("jenkins.dsl", ScriptError, 84, &["No such DSL method", "No such property", "MissingPropertyException", "MissingMethodException", "MultipleCompilationErrorsException", "WorkflowScript: "], r"^(?:java\.lang\.NoSuchMethodError: No such DSL method|groovy\.lang\.Missing(?:Property|Method)Exception|org\.codehaus\.groovy\.control\.MultipleCompilationErrorsException|WorkflowScript: \d+: )")
        .span(0, 2)
        .tested(&["java.lang.NoSuchMethodError: No such DSL method 'drawer' found among steps", "WorkflowScript: 3: expecting '}', found '' @ line 3, column 9."], &["DSL method"]),
    Rule::cause("jenkins.approval", Permission, 84, &["Scripts not permitted to use", "not yet approved for use"], r"(?:Scripts not permitted to use|script not yet approved for use)")
        .tested(&["org.jenkinsci.plugins.scriptsecurity.sandbox.RejectedAccessException: Scripts not permitted to use method x"], &["permitted"]),
    Rule::cause("jenkins.credentials", ConfigError, 84, &["Could not find credentials"], r"Could not find credentials (?:entry with ID|matching)")
        .tested(&["ERROR: Could not find credentials entry with ID 'till'"], &["credentials found"]),
    Rule::cause("jenkins.agent", RunnerLost, 80, &["is offline", "There are no nodes with the label", "no longer exists", "Unable to create live FilePath"], r"(?:There are no nodes with the label|Unable to create live FilePath|^Agent .+ is offline)")
        .tested(&["Unable to create live FilePath for till-7; till-7 was marked offline"], &["is offline now"]),
    Rule::cause("script.missing", ConfigError, 84, &["Missing script:", "missing script:", "Command \"", "None of the selected packages has a", "Usage Error: Couldn't find a script"], r"(?:npm (?:ERR!|error) [Mm]issing script: |^error Command \x22[^\x22]+\x22 not found|ERR_PNPM_NO_SCRIPT|Usage Error: Couldn't find a script named)")
        .span(0, 2)
        .tested(&["npm error Missing script: \"till\"", "error Command \"till\" not found."], &["npm run till"]),
    Rule::cause("gradle.unknown_task", ConfigError, 82, &["not found in root project", "not found in project ", "Could not determine the dependencies", "is ambiguous in root project"], r"(?:Task '\S+' (?:not found|is ambiguous) in (?:root )?project)")
        .tested(&["Task 'till' not found in root project 'shop'."], &["Task found"]),
    Rule::cause("gradle.script", ConfigError, 74, &["Could not compile build file", "Could not compile settings file", "A problem occurred evaluating", "A problem occurred configuring"], r"^(?:> )?(?:Could not compile (?:build|settings) file|A problem occurred (?:evaluating|configuring))")
        .span(0, 4)
        .tested(&["A problem occurred evaluating root project 'shop'."], &["no problem"]),
];
