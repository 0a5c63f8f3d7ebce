//! Maven, Gradle, sbt, javac, kotlinc and scalac.
//!
//! **What:** compiler errors, unresolvable artifacts, failed goals and tasks.
//! **Why:** "BUILD FAILURE" and the help footers only pass the error on.
//! **What to do:** fix the first compiler error; for artifacts check the repository and the version.

use crate::report::Category::{
    CompileError, ConfigError, DependencyResolution, LintFormat, PolicyCheck, TestFailure, ToolchainVersion,
    Unknown,
};
use crate::rules::{Role, Rule};

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("maven.compile", CompileError, 84, &["[ERROR] "], r"^\[ERROR\] (?P<file>/?\S+\.(?:java|kt|scala|groovy)):\[(?P<line>\d+),(?P<column>\d+)\] (?:error: )?(?P<message>.+)")
        .span(0, 3)
        .tested(&["[ERROR] /b/src/main/java/shop/Till.java:[7,12] incompatible types: int cannot be converted to Purse"], &["[WARNING] /b/a/B.java:[27,12] unchecked"]),
    Rule::cause("maven.compile_heading", CompileError, 70, &["COMPILATION ERROR"], r"^\[ERROR\] COMPILATION ERROR")
        .span(0, 3)
        .tested(&["[ERROR] COMPILATION ERROR :"], &["COMPILATION ERROR"]),
    Rule::cause("maven.target_release", ToolchainVersion, 86, &["invalid target release", "invalid source release", "release version", "invalid flag: --release", "Source option", "class file has wrong version", "Unsupported class file major version", "UnsupportedClassVersionError"], r"(?:invalid (?:target|source) release|release version \S+ not supported|invalid flag: --release|(?:Source|Target) option \S+ is no longer supported|class file has wrong version|Unsupported class file major version|UnsupportedClassVersionError)")
        .span(1, 2)
        .tested(&["[ERROR] Failed to execute goal x: Fatal error compiling: invalid target release: 25", "java.lang.UnsupportedClassVersionError: a/B"], &["release version 2"]),
    Rule::cause("maven.resolve", DependencyResolution, 82, &["Could not resolve dependencies", "Could not find artifact", "could not be resolved", "Could not transfer artifact", "Non-resolvable", "ResolutionException"], r"(?:^\[ERROR\].*(?:Could not resolve dependencies|Could not find artifact|could not be resolved|Could not transfer artifact|Non-resolvable (?:parent|import) POM)|ExtensionResolutionException)")
        .tested(&["[ERROR] Failed to execute goal on project app: Could not resolve dependencies for project a:b:jar:1", "org.apache.maven.cli.internal.ExtensionResolutionException: Extension a:b:1 could not be resolved"], &["[WARNING] Could not find artifact"]),
    Rule::cause("maven.checkstyle", LintFormat, 86, &["checkstyle", "spotless", "formatter", "pmd", "spotbugs", "license-maven", "impsort", "sortpom"], r"(?i)^\[ERROR\] Failed to execute goal \S*(?:checkstyle|spotless|formatter|pmd|spotbugs|license|impsort|sortpom)\S*:")
        .tested(&["[ERROR] Failed to execute goal org.apache.maven.plugins:maven-checkstyle-plugin:3.6.0:check (default) on project x: failed"], &["[INFO] maven-checkstyle-plugin"]),
    Rule::cause("maven.policy", PolicyCheck, 80, &["enforcer", "animal-sniffer", "japicmp", "revapi", "dependency-lock", "validate-hpi", "apache-rat", "dependency-check", "The following dependencies differ", "Undefined reference: "], r"(?i)^\[ERROR\] (?:Failed to execute goal \S*(?:enforcer|animal-sniffer|japicmp|revapi|clirr|dependency-lock|validate-hpi|apache-rat|dependency-check)\S*|The following dependencies differ|\S+\.java:\d+: Undefined reference: )")
        .span(0, 2)
        .tested(&["[ERROR] Failed to execute goal org.apache.maven.plugins:maven-enforcer-plugin:3.0:enforce (x) on project y: Some rules failed", "[ERROR] /b/shop/Till.java:3: Undefined reference: java.time.C"], &["[INFO] enforcer"]),
    Rule::cause("maven.goal", Unknown, 50, &["Failed to execute goal"], r"^\[ERROR\] Failed to execute goal (?P<message>.+)")
        .tested(&["[ERROR] Failed to execute goal a:b:1:run (default) on project x: boom"], &["Failed to execute goal"]),
    Rule::of(Role::Wrapper, "maven.test_goal", TestFailure, &["maven-surefire-plugin", "maven-failsafe-plugin"], r"^\[ERROR\] Failed to execute goal org\.apache\.maven\.plugins:maven-(?:surefire|failsafe)-plugin.*There (?:are|were) test failures")
        .tested(&["[ERROR] Failed to execute goal org.apache.maven.plugins:maven-surefire-plugin:3.5.2:test (default-test) on project x: There are test failures."], &["maven-surefire-plugin"]),
    Rule::detail("maven.error", Unknown, 34, &["[ERROR] "], r"^\[ERROR\] (?:Error|Unable|Cannot|Could not|Unknown|Invalid|Missing|Plugin|Unresolveable|The (?:project|build|goal)) ?.+")
        .tested(&["[ERROR] Unknown lifecycle phase \"x\"."], &[]),
    Rule::of(Role::Noise, "maven.footer", Unknown, &["[Help 1]", "re-run Maven", "For more information about the errors", "After correcting the problems", "mvn <"], r"^\[ERROR\] (?:\[Help \d\]|To see the full stack trace|Re-run Maven using|For more information about the errors|After correcting the problems|  mvn <)")
        .tested(&["[ERROR] Re-run Maven using the -X switch to enable full debug logging.", "[ERROR] [Help 1] http://cwiki.apache.org/confluence/display/MAVEN/MojoExecutionException"], &[]),
    Rule::of(Role::Wrapper, "maven.wrapper", Unknown, &["BUILD FAILURE"], r"^(?:\[(?:INFO|ERROR)\] )?BUILD FAILURE")
        .tested(&["[INFO] BUILD FAILURE"], &["BUILD SUCCESS"]),
    Rule::cause("gradle.went_wrong", Unknown, 56, &["* What went wrong:"], r"^\* What went wrong:$")
        .span(0, 4)
        .tested(&["* What went wrong:"], &["What went wrong:"]),
    Rule::cause("gradle.resolve", DependencyResolution, 78, &["> Could not resolve", "> Could not find", "Could not GET", "Could not HEAD"], r"^\s*> Could not (?:resolve|find|GET|HEAD|download) .+")
        .span(2, 2)
        .tested(&["   > Could not find com.acme:lib:9.9.", "> Could not resolve all files for configuration ':compileClasspath'."], &["Could not find x"]),
    Rule::cause("gradle.task", PolicyCheck, 60, &["> Task :"], r"^> Task (?P<message>:\S+) FAILED$")
        .span(0, 4)
        .tested(&["> Task :app:projectHealth FAILED"], &["> Task :app:test UP-TO-DATE"]),
    Rule::of(Role::Wrapper, "gradle.task_of_tool", TestFailure, &["> Task :"], r"^> Task \S*:(?:compile\w*|test|integrationTest|check\w*Test|kapt\w*) FAILED$")
        .tested(&["> Task :app:compileJava FAILED"], &[]),
    Rule::of(Role::Wrapper, "gradle.wrapper", Unknown, &["BUILD FAILED", "Execution failed for task", "There were failing tests", "Compilation failed; see"], r"^(?:BUILD FAILED|Execution failed for task|> There were failing tests|> Compilation failed; see)")
        .tested(&["BUILD FAILED in 1m 3s", "Execution failed for task ':app:test'."], &["BUILD SUCCESSFUL"]),
    Rule::cause("kotlin.error", CompileError, 82, &[".kt:", ".kts:"], r"^e: (?:file://)?(?P<file>\S+\.kts?): ?\(?(?P<line>\d+)[,:] ?(?P<column>\d+)\)?:? ?(?P<message>.+)")
        .tested(&["e: file:///b/src/A.kt:12:5 Unresolved reference: x", "e: /b/src/A.kt: (12, 5): Unresolved reference: x"], &["w: /b/src/A.kt: (1, 2): x"]),
    Rule::cause("scala.error", CompileError, 80, &["[error] "], r"^\[error\] (?:-- .*Error: )?(?P<file>\S+\.(?:scala|java|sbt)):(?P<line>\d+)(?::(?P<column>\d+))?: ?(?P<message>.+)")
        .span(0, 3)
        .tested(&["[error] /b/src/A.scala:10:8: object x is not a member of package y"], &["[warn] /b/src/A.scala:10:8: unused"]),
    Rule::cause("sbt.resolve", DependencyResolution, 80, &["unresolved dependency", "Error downloading", "not found: "], r"^\[error\].*(?:unresolved dependency: |Error downloading )")
        .span(0, 3)
        .tested(&["[error] (update) sbt.ResolveException: unresolved dependency: a#b;1: not found"], &["unresolved dependency"]),
    Rule::cause("mima.filter", PolicyCheck, 80, &["ProblemFilters.exclude", "Failed binary compatibility check"], r"^\[error\].*(?:ProblemFilters\.exclude|Failed binary compatibility check)")
        .span(2, 1)
        .tested(&["[error]    filter with: ProblemFilters.exclude[DirectMissingMethodProblem](\"shop.Till.sum\")"], &["ProblemFilters.exclude"]),
    Rule::detail("sbt.error", Unknown, 30, &["[error] "], r"^\[error\] \S.*")
        .tested(&["[error] (core / Test / test) failed"], &[]),
    Rule::cause("ant.failed", ConfigError, 44, &["BUILD FAILED"], r"^BUILD FAILED$")
        .span(0, 3)
        .tested(&["BUILD FAILED"], &["BUILD FAILED in 3s"]),
];
