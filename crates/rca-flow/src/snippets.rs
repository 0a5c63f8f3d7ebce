//! How each CI system sends the log of a failed job: with nothing but a shell and curl, which escapes the values itself.

use serde::Serialize;

/// How one CI system sends its logs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Snippet {
    /// The system, e.g. `gitlab`.
    pub ci: &'static str,
    /// Where the snippet belongs.
    pub file: &'static str,
    /// To be put there. `FORGE_RCA_TOKEN` is a secret of the system: a token with the scope `ingest`.
    pub snippet: String,
    /// The part of it that a shell runs.
    pub command: String,
}

/// A system: its route, its fields as variables of its shell, and what stands around the command.
struct System {
    ci: &'static str,
    file: &'static str,
    route: &'static str,
    fields: &'static [(&'static str, &'static str)],
    /// `COMMAND` stands where the command goes, indented as it is.
    around: &'static str,
    /// A condition of the shell, where the system has none of its own.
    only_if: Option<&'static str>,
}

const SYSTEMS: [System; 10] = [
    System {
        ci: "gitlab",
        file: ".gitlab-ci.yml",
        route: "log",
        fields: &[
            ("provider", "gitlab_ci"),
            ("status", "failed"),
            ("project", "$CI_PROJECT_PATH"),
            ("pipeline_id", "$CI_PIPELINE_ID"),
            ("job_id", "$CI_JOB_ID"),
            ("job_name", "$CI_JOB_NAME"),
            ("branch", "$CI_COMMIT_REF_NAME"),
            ("commit_sha", "$CI_COMMIT_SHA"),
            ("pipeline_url", "$CI_PIPELINE_URL"),
        ],
        around: "test:\n  script:\n    - set -o pipefail\n    - make test 2>&1 | tee build.log\n  after_script:\n    - |\n      COMMAND\n",
        only_if: Some("[ \"$CI_JOB_STATUS\" = failed ]"),
    },
    System {
        ci: "github",
        file: ".github/workflows/ci.yml",
        route: "log",
        fields: &[
            ("provider", "github_actions"),
            ("status", "failed"),
            ("project", "$GITHUB_REPOSITORY"),
            ("pipeline_id", "$GITHUB_RUN_ID"),
            ("job_name", "$GITHUB_JOB"),
            ("branch", "$GITHUB_REF_NAME"),
            ("commit_sha", "$GITHUB_SHA"),
            ("build_number", "$GITHUB_RUN_NUMBER"),
            ("pipeline_url", "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID"),
        ],
        around: "    steps:\n      - run: make test 2>&1 | tee build.log\n        shell: bash\n      - if: failure()\n        env:\n          FORGE_RCA_TOKEN: ${{ secrets.FORGE_RCA_TOKEN }}\n        run: |\n          COMMAND\n",
        only_if: None,
    },
    System {
        ci: "bitbucket",
        file: "bitbucket-pipelines.yml",
        route: "log",
        fields: &[
            ("provider", "bitbucket_pipelines"),
            ("status", "failed"),
            ("project", "$BITBUCKET_REPO_FULL_NAME"),
            ("pipeline_id", "$BITBUCKET_PIPELINE_UUID"),
            ("job_id", "$BITBUCKET_STEP_UUID"),
            ("branch", "$BITBUCKET_BRANCH"),
            ("commit_sha", "$BITBUCKET_COMMIT"),
            ("build_number", "$BITBUCKET_BUILD_NUMBER"),
        ],
        around: "    - step:\n        script:\n          - set -o pipefail\n          - make test 2>&1 | tee build.log\n        after-script:\n          - |\n            COMMAND\n",
        only_if: Some("[ \"$BITBUCKET_EXIT_CODE\" -ne 0 ]"),
    },
    System {
        ci: "gitflic",
        // The run's id is a UUID here, as the forge's API has it; there is no variable with the whole path.
        file: "gitflic-ci.yaml",
        route: "log",
        fields: &[
            ("provider", "gitflic"),
            ("status", "failed"),
            ("project", "$CI_PROJECT_NAMESPACE/$CI_PROJECT_NAME"),
            ("pipeline_id", "$CI_PIPELINE_ID"),
            ("job_name", "$CI_JOB_NAME"),
            ("branch", "$CI_COMMIT_REF_NAME"),
            ("commit_sha", "$CI_COMMIT_SHA"),
        ],
        around: "test:\n  stage: test\n  scripts:\n    - |\n      make test >build.log 2>&1 && cat build.log && exit 0\n      cat build.log\n      COMMAND\n      exit 1\n",
        only_if: None,
    },
    System {
        ci: "jenkins",
        file: "Jenkinsfile",
        route: "jenkins",
        fields: &[
            ("status", "FAILURE"),
            ("job", "$JOB_NAME"),
            ("build_number", "$BUILD_NUMBER"),
            ("build_url", "$BUILD_URL"),
            ("branch", "$GIT_BRANCH"),
            ("commit_sha", "$GIT_COMMIT"),
        ],
        around: "    stage('Test') {\n      steps { sh '''#!/bin/bash\n        set -eo pipefail\n        make test 2>&1 | tee build.log''' }\n      post { failure { withCredentials([string(credentialsId: 'forge-rca', variable: 'FORGE_RCA_TOKEN')]) { sh '''\n        COMMAND\n      ''' } } }\n    }\n",
        only_if: None,
    },
    System {
        ci: "circleci",
        file: ".circleci/config.yml",
        route: "circleci",
        fields: &[
            ("status", "failed"),
            ("project_slug", "gh/$CIRCLE_PROJECT_USERNAME/$CIRCLE_PROJECT_REPONAME"),
            ("workflow_id", "$CIRCLE_WORKFLOW_ID"),
            ("job_name", "$CIRCLE_JOB"),
            ("job_number", "$CIRCLE_BUILD_NUM"),
            ("branch", "$CIRCLE_BRANCH"),
            ("commit_sha", "$CIRCLE_SHA1"),
            ("pipeline_url", "$CIRCLE_BUILD_URL"),
        ],
        around: "    steps:\n      - run: make test 2>&1 | tee build.log\n      - run:\n          when: on_fail\n          command: |\n            COMMAND\n",
        only_if: None,
    },
    System {
        ci: "teamcity",
        file: "a build step of the kind Command Line, executed only if the build has failed",
        route: "teamcity",
        fields: &[
            ("status", "FAILURE"),
            ("build_type_id", "%system.teamcity.buildType.id%"),
            ("build_id", "%teamcity.build.id%"),
            ("build_number", "$BUILD_NUMBER"),
            ("commit_sha", "$BUILD_VCS_NUMBER"),
            ("project_name", "$TEAMCITY_PROJECT_NAME"),
        ],
        around: "COMMAND\n",
        only_if: None,
    },
    System {
        ci: "drone",
        file: ".drone.yml",
        route: "drone",
        fields: &[
            ("status", "failure"),
            ("repo", "$DRONE_REPO"),
            ("build_number", "$DRONE_BUILD_NUMBER"),
            ("pipeline", "$DRONE_STAGE_NAME"),
            ("branch", "$DRONE_BRANCH"),
            ("commit_sha", "$DRONE_COMMIT_SHA"),
            ("build_url", "$DRONE_BUILD_LINK"),
        ],
        around: "  - name: forge-rca\n    image: curlimages/curl\n    environment:\n      FORGE_RCA_TOKEN:\n        from_secret: forge_rca_token\n    when:\n      status: [failure]\n    commands:\n      - |\n        COMMAND\n",
        only_if: None,
    },
    System {
        ci: "woodpecker",
        file: ".woodpecker.yml",
        route: "drone",
        fields: &[
            ("status", "failure"),
            ("repo", "$CI_REPO"),
            ("build_number", "$CI_PIPELINE_NUMBER"),
            ("pipeline", "$CI_WORKFLOW_NAME"),
            ("branch", "$CI_COMMIT_BRANCH"),
            ("commit_sha", "$CI_COMMIT_SHA"),
            ("build_url", "$CI_PIPELINE_URL"),
        ],
        around: "  - name: forge-rca\n    image: curlimages/curl\n    environment:\n      FORGE_RCA_TOKEN:\n        from_secret: forge_rca_token\n    when:\n      status: [failure]\n    commands:\n      - |\n        COMMAND\n",
        only_if: None,
    },
    System {
        ci: "generic",
        file: "any shell",
        route: "log",
        fields: &[
            ("provider", "generic"),
            ("status", "failed"),
            ("project", "$PROJECT"),
            ("job_name", "$JOB_NAME"),
            ("branch", "$BRANCH"),
            ("commit_sha", "$COMMIT_SHA"),
        ],
        around: "COMMAND\n",
        only_if: None,
    },
];

/// The snippets of all systems for the server at `public_url`. The log is expected in the file `build.log`.
#[must_use]
pub fn all(public_url: &str) -> Vec<Snippet> {
    SYSTEMS.iter().map(|system| system.snippet(public_url.trim_end_matches('/'))).collect()
}

impl System {
    fn snippet(&self, base: &str) -> Snippet {
        let mut lines = vec![
            format!("curl -fsS \"{base}/v1/ingest/{}\" \\", self.route),
            "  -H \"Authorization: Bearer $FORGE_RCA_TOKEN\" \\".to_owned(),
        ];
        for (name, value) in self.fields {
            lines.push(format!("  --data-urlencode \"{name}={value}\" \\"));
        }
        lines.push("  --data-urlencode \"log@build.log\"".to_owned());
        if let Some(condition) = self.only_if {
            lines = lines.into_iter().map(|line| format!("  {line}")).collect();
            lines.insert(0, format!("if {condition}; then"));
            lines.push("fi".to_owned());
        }
        let around = self.around.lines().flat_map(|line| {
            let indent = line.strip_suffix("COMMAND");
            match indent {
                Some(indent) => lines.iter().map(|part| format!("{indent}{part}")).collect(),
                None => vec![line.to_owned()],
            }
        });
        Snippet {
            ci: self.ci,
            file: self.file,
            snippet: around.collect::<Vec<_>>().join("\n"),
            command: lines.join("\n"),
        }
    }
}
