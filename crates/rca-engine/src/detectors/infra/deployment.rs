//! Deployment and publishing: Pulumi, CloudFormation, cloud command lines, Compose, kind, release tools.
//!
//! **What:** the resource or the call that was refused, with its reason.
//! **Why:** the stack's own error only says that something in it failed.
//! **What to do:** fix the named resource or permission, then deploy again.

use crate::report::Category::{
    Auth, ConfigError, DeployPublish, DockerImage, MissingFile, MissingTool, Network, PolicyCheck, RateLimit,
    ScmCheckout, ServiceUnavailable, Timeout,
};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("pulumi.resource", DeployPublish, 82, &["    error: "], r"^    error: (?P<message>(?:creating|updating|deleting|reading|\d+ error).+)")
        .span(1, 1)
        .tested(&["    error: creating S3 Bucket (till): BucketAlreadyExists: x"], &["    error: update failed"]),
    Rule::of(Role::Wrapper, "pulumi.wrapper", DeployPublish, &["error: update failed"], r"^\s+error: update failed$")
        .with_weight(45)
        .tested(&["    error: update failed"], &[]),
    Rule::cause("cloudformation.resource", DeployPublish, 84, &["CREATE_FAILED", "UPDATE_FAILED", "DELETE_FAILED"], r"\b(?:CREATE|UPDATE|DELETE)_FAILED\b")
        .tested(&["TillStack | 1/3 | 07:00:01 | CREATE_FAILED        | AWS::S3::Bucket | Till already exists"], &["CREATE_COMPLETE"]),
    Rule::cause("cdk.failed", DeployPublish, 76, &["❌  "], r"^\s*❌  \S+ failed: .+")
        .tested(&[" ❌  TillStack failed: The stack named TillStack failed creation"], &["❌ x"]),
    Rule::cause("aws.denied", Auth, 84, &["An error occurred ("], r"An error occurred \((?:AccessDenied\w*|UnauthorizedOperation|ExpiredToken\w*|InvalidClientTokenId|SignatureDoesNotMatch|UnrecognizedClientException)\) when calling")
        .tested(&["upload failed: dist/till.js to s3://till/till.js An error occurred (AccessDenied) when calling the PutObject operation: Access Denied"], &["An error occurred (NoSuchBucket) when calling"]),
    Rule::cause("aws.credentials", Auth, 62, &["Unable to locate credentials"], r"Unable to locate credentials")
        .tested(&["Unable to locate credentials. You can configure credentials by running \"aws configure\"."], &["credentials"]),
    Rule::cause("aws.error", DeployPublish, 78, &["An error occurred ("], r"An error occurred \((?P<message>\w+)\) when calling the \w+ operation")
        .tested(&["An error occurred (NoSuchBucket) when calling the PutObject operation: x"], &["An error occurred"]),
    Rule::cause("gcloud.denied", Auth, 84, &["PERMISSION_DENIED", "UNAUTHENTICATED", "AuthorizationFailed", "You do not currently have an active account"], r"(?:^ERROR: \(gcloud[\w.-]*\) .*(?:PERMISSION_DENIED|UNAUTHENTICATED|active account)|^ERROR: \(AuthorizationFailed\))")
        .tested(&["ERROR: (gcloud.run.deploy) PERMISSION_DENIED: Permission 'run.services.update' denied on resource 'till'"], &["PERMISSION_DENIED"]),
    Rule::cause("gcloud.error", DeployPublish, 76, &["ERROR: (gcloud"], r"^ERROR: \(gcloud[\w.-]*\) (?P<message>.+)")
        .span(0, 1)
        .tested(&["ERROR: (gcloud.run.deploy) Revision 'till-0001' is not ready"], &["ERROR: x"]),
    Rule::cause("compose.dependency", DockerImage, 82, &["dependency failed to start"], r"dependency failed to start: (?P<message>.+)")
        .span(2, 0)
        .tested(&["dependency failed to start: container till-db-1 is unhealthy"], &["started"]),
    Rule::cause("compose.config", ConfigError, 82, &["depends on undefined service", "refers to undefined", "services must be a mapping"], r"(?:depends on undefined service|services must be a mapping)")
        .tested(&["service \"till\" depends on undefined service \"db\": invalid compose project"], &["depends on"]),
    Rule::cause("docker.port", ConfigError, 84, &["port is already allocated", "address already in use", "EADDRINUSE"], r"(?:port is already allocated|bind(?:ing)?.*address already in use|EADDRINUSE: address already in use)")
        .tested(&["docker: Error response from daemon: Bind for 0.0.0.0:8080 failed: port is already allocated.", "Error: listen EADDRINUSE: address already in use :::8080"], &["allocated"]),
    Rule::cause("dockerfile.parse", ConfigError, 84, &["dockerfile parse error", "Dockerfile parse error"], r"(?i)dockerfile parse error on line \d+: (?P<message>.+)")
        .span(2, 0)
        .tested(&["ERROR: failed to solve: dockerfile parse error on line 3: unknown instruction: RUM (did you mean RUN?)"], &["parse error"]),
    Rule::cause("dockerfile.copy", MissingFile, 84, &["failed to calculate checksum of ref", "COPY failed: ", "ADD failed: "], r"(?:failed to calculate checksum of ref \S+: \x22(?P<file>[^\x22]+)\x22: not found|^(?:COPY|ADD) failed: .+)")
        .span(1, 1)
        .tested(&["#7 ERROR: failed to calculate checksum of ref 11ee::22ff: \"/dist\": not found", "COPY failed: file not found in build context or excluded by .dockerignore: stat dist: file does not exist"], &["COPY dist ./dist"]),
    Rule::of(Role::Wrapper, "image.wrapper", DockerImage, &["error building image", "Error: building at STEP"], r"^(?:error building image: error building stage|Error: building at STEP)")
        .with_weight(45)
        .tested(&["error building image: error building stage: failed to execute command: waiting for process to exit: exit status 2"], &[]),
    Rule::cause("kind.failed", ServiceUnavailable, 78, &["failed to create cluster"], r"(?:ERROR: )?failed to create cluster: (?P<message>.+)")
        .span(1, 0)
        .tested(&["ERROR: failed to create cluster: failed to init node with kubeadm"], &["created cluster"]),
    Rule::cause("kubectl.wait", Timeout, 80, &["timed out waiting for the condition"], r"^error: timed out waiting for the condition")
        .span(2, 0)
        .tested(&["error: timed out waiting for the condition"], &["waiting for the condition"]),
    Rule::cause("release.credentials", Auth, 82, &["ENOGHTOKEN", "EINVALIDGHTOKEN", "ENONPMTOKEN", "EINVALIDNPMTOKEN", "ENOGLTOKEN", "ENEEDAUTH", "code E401", "Invalid or non-existent authentication"], r"(?:\bE(?:NO|INVALID)(?:GH|GL|NPM)TOKEN\b|npm (?:ERR!|error) code (?:ENEEDAUTH|E401)|Invalid or non-existent authentication)")
        .span(1, 1)
        .tested(&["[semantic-release] › ✘  ENOGHTOKEN No GitHub token specified.", "npm error code ENEEDAUTH"], &["TOKEN"]),
    Rule::cause("release.failed", DeployPublish, 80, &["release failed after"], r"⨯ release failed after \S+\s+error=(?P<message>.+)")
        .span(0, 2)
        .tested(&["  ⨯ release failed after 0s                  error=git is in a dirty state"], &["release succeeded after 3s"]),
    Rule::cause("ssh.connect", Network, 82, &["ssh: connect to host", "ssh: Could not resolve hostname"], r"^ssh: (?:connect to host \S+ port \d+: |Could not resolve hostname )(?P<message>.+)")
        .span(0, 2)
        .tested(&["ssh: connect to host till.example.org port 22: Connection timed out"], &["ssh: connected"]),
    Rule::of(Role::Wrapper, "rsync.wrapper", DeployPublish, &["rsync error: ", "rsync: connection unexpectedly closed"], r"^rsync(?: error)?: (?:.+ \(code \d+\)|connection unexpectedly closed)")
        .tested(&["rsync error: unexplained error (code 255) at io.c(232) [sender=3.4.1]"], &[]),
    Rule::of(Role::Wrapper, "fastlane.wrapper", DeployPublish, &["fastlane finished with errors"], r"fastlane finished with errors")
        .tested(&["fastlane finished with errors"], &[]),
    Rule::cause("git.lfs_quota", RateLimit, 84, &["over its data quota"], r"This repository (?:is over its data quota|exceeded its LFS budget)")
        .span(0, 1)
        .tested(&["batch response: This repository is over its data quota. Account responsible should purchase more"], &["data quota"]),
    Rule::cause("git.lfs", ScmCheckout, 76, &["failed to fetch some objects from", "Smudge error: ", "smudge filter lfs failed"], r"(?:error: failed to fetch some objects from '|Smudge error: |smudge filter lfs failed)")
        .tested(&["error: failed to fetch some objects from 'https://git.example.org/shop/till.git/info/lfs'"], &["objects"]),
    Rule::cause("git.push_rejected", PolicyCheck, 78, &["[remote rejected]", "[rejected]", "protected branch hook declined", "pre-receive hook declined"], r"(?:! \[(?:remote )?rejected\]|(?:protected branch|pre-receive) hook declined)")
        .span(2, 1)
        .tested(&[" ! [remote rejected] main -> main (protected branch hook declined)"], &["pushed"]),
    Rule::cause("nx.project", ConfigError, 78, &["Cannot find project '", "Cannot find configuration for task"], r"(?:Cannot find project '|Cannot find configuration for task)(?P<message>.+)")
        .tested(&["Error: Cannot find project 'till'"], &["find project"]),
    Rule::cause("ansible.syntax", ConfigError, 82, &["ERROR! "], r"^ERROR! (?P<message>.+)")
        .span(0, 4)
        .tested(&["ERROR! 'purse' is not a valid attribute for a Play"], &["ERROR x"]),
    Rule::cause("browser.missing", MissingTool, 97, &["Executable doesn't exist at", "Could not find Chrome", "Failed to launch the browser process", "No binary for Chrome"], r"(?:Executable doesn't exist at|Could not find Chrome(?:ium)? \(ver|Failed to launch the browser process|No binary for \w+ browser)")
        .with_advice("The browser that the tests need is not installed on the runner.", "Install it in a step before the tests, such as `npx playwright install --with-deps`.")
        .span(1, 2)
        .tested(&["    Error: browserType.launch: Executable doesn't exist at /b/ms-playwright/chromium-1181/chrome-linux/chrome"], &["Executable"]),
];
