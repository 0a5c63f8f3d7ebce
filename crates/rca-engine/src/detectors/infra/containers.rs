//! Docker, Kubernetes and deployment tools.
//!
//! **What:** images that cannot be pulled, build steps that fail, daemons that do not answer, releases
//! that do not roll out.
//! **Why:** `failed to solve` repeats the step that failed; its own output above says why.
//! **What to do:** check name, tag and credentials of the image; for deployments the state of the target.

use crate::report::Category::{Auth, ConfigError, DeployPublish, DockerImage, ScriptError};
use crate::report::Retry;
use crate::rules::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("docker.manifest", DockerImage, 86, &["manifest unknown", "manifest for ", "pull access denied", "repository does not exist", "failed to pull", "ErrImagePull", "ImagePullBackOff", "no matching manifest", "invalid reference format"], r"(?:manifest unknown|manifest for \S+ not found|pull access denied|no matching manifest|ErrImagePull|ImagePullBackOff|[Ff]ailed to pull image|invalid reference format)")
        .span(1, 1)
        .tested(&["docker: Error response from daemon: manifest for a/b:c not found.", "ERROR: pull access denied for x, repository does not exist"], &["manifest ok"]),
    Rule::cause("docker.registry_auth", Auth, 88, &["unauthorized"], r"^(?:Error response from daemon|ERROR).*: unauthorized\b")
        .span(1, 0)
        .tested(&["Error response from daemon: Get \"https://images.example.org/v2/\": unauthorized: HTTP Basic: Access denied"], &["unauthorized"]),
    Rule::cause("docker.daemon", DockerImage, 86, &["Cannot connect to the Docker daemon", "Is the docker daemon running"], r"Cannot connect to the Docker daemon|[Ii]s the docker daemon running")
        .with_retry(Retry::Maybe)
        .tested(&["Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"], &["docker daemon started"]),
    Rule::cause("docker.start", DockerImage, 84, &["starting container process caused", "OCI runtime", "oci runtime error", "exec format error"], r"(?:starting container process caused|OCI runtime (?:create|exec) failed|oci runtime error|exec format error)")
        .tested(&["docker: Error response from daemon: OCI runtime create failed: container_linux.go:380"], &["container started"]),
    Rule::cause("docker.error_response", DockerImage, 66, &["Error response from daemon"], r"Error response from daemon: (?P<message>.+)")
        .span(1, 0)
        .tested(&["Error response from daemon: conflict: x"], &["response from daemon"]),
    Rule::cause("docker.step", DockerImage, 60, &["ERROR: process \"", "failed to solve", "returned a non-zero code", "ERROR: failed to "], r"(?:^#\d+ ERROR: (?:process |.+)|failed to solve: .+|returned a non-zero code: \d+)")
        .span(4, 1)
        .tested(&["#9 ERROR: process \"/bin/sh -c make\" did not complete successfully: exit code: 2", "ERROR: failed to solve: process \"/bin/sh -c make\" did not complete"], &["#9 DONE 0.3s"]),
    Rule::cause("swarm.error", DeployPublish, 84, &["is not a swarm manager", "undefined secret", "undefined config", "undefined volume", "undefined network"], r"(?:is not a swarm manager|service \S+: undefined (?:secret|config|volume|network)|refers to undefined (?:volume|network|secret|config))")
        .tested(&["this node is not a swarm manager. Use \"docker swarm init\"", "service app: undefined secret \"x\""], &["swarm manager"]),
    Rule::cause("helm.failed", DeployPublish, 82, &["Error: UPGRADE FAILED", "Error: INSTALLATION FAILED", "Error: rendered manifests", "UPGRADE FAILED"], r"^Error: (?:UPGRADE FAILED|INSTALLATION FAILED|rendered manifests|chart requires)")
        .span(0, 2)
        .tested(&["Error: UPGRADE FAILED: timed out waiting for the condition"], &["UPGRADE OK"]),
    Rule::cause("kubectl.error", DeployPublish, 78, &["Error from server", "error: deployment ", "exceeded its progress deadline", "error validating"], r"^(?:Error from server \(|error: (?:deployment .+ exceeded its progress deadline|error validating|the server doesn't have))")
        .span(0, 1)
        .tested(&["Error from server (Forbidden): pods is forbidden", "error: deployment \"x\" exceeded its progress deadline"], &["deployment ok"]),
    Rule::cause("terraform.error", ConfigError, 76, &["Error: "], r"^\s*[│╷|] ?Error: (?P<message>.+)")
        .span(0, 6)
        .tested(&["│ Error: Invalid reference"], &["Error: x"]),
    Rule::cause("ansible.failed", ScriptError, 78, &["FAILED! =>", "UNREACHABLE! =>"], r"^(?:\S.* \| )?(?:fatal|failed): \[(?P<message>[^\]]+)\]: (?:FAILED|UNREACHABLE)!")
        .span(1, 1)
        .tested(&["fatal: [till-1]: FAILED! => {\"msg\": \"no drawer\"}"], &["ok: [localhost]"]),
    Rule::cause("publish.rejected", DeployPublish, 80, &["cannot publish over", "File already exists", "already exists on crates.io", "is already uploaded", "npm ERR! 403", "403 Forbidden - PUT"], r"(?i)(?:cannot publish over|File already exists|already exists on crates|is already uploaded|403 Forbidden - PUT)")
        .span(0, 1)
        .tested(&["npm ERR! You cannot publish over the previously published versions: 1.0.0.", "HTTPError: 400 Bad Request: File already exists."], &["publish ok"]),
];
