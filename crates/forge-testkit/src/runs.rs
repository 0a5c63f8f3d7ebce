//! Making runs and jobs.

use jiff::{SignedDuration, Timestamp};

use crate::{
    dialect::Dialect,
    spec::{JobSpec, Log, RunHandle, RunSpec, State},
    world::{Job, Run, World, random_hex, shift},
};

pub(crate) fn add(
    world: &mut World,
    dialect: &dyn Dialect,
    repo_id: u64,
    spec: &RunSpec,
    parent: Option<(u64, u64, u64)>,
) -> RunHandle {
    let age = SignedDuration::try_from(spec.age).unwrap_or_default();
    let end = world.now().checked_sub(age).unwrap_or(Timestamp::UNIX_EPOCH);
    let id = world.next_large_id();
    let number = world.repos.get_mut(&repo_id).map_or(1, |repo| {
        repo.last_run_number += 1;
        repo.last_run_number
    });
    let sha = spec.sha.clone().unwrap_or_else(|| random_hex(20));
    let [for_pull, for_child] = dialect.triggers();
    let trigger = match (&spec.trigger, &spec.pull, parent) {
        (Some(trigger), _, _) => trigger.as_str(),
        (None, _, Some(_)) => for_child,
        (None, Some(_), None) => for_pull,
        (None, None, None) => "push",
    };
    let trigger = trigger.to_owned();
    let mut handle = RunHandle {
        id,
        forge_id: String::new(),
        attempt: 1,
        repo_id,
        jobs: Vec::new(),
        job_ids: Vec::new(),
        children: Vec::new(),
        sha: sha.clone(),
    };
    let mut states = Vec::new();
    for job in &spec.jobs {
        let job_id = add_job(world, (id, repo_id), job, 1, end);
        handle.jobs.push(job_id);
        states.push((job.state, job.allow_failure));
    }
    for (child_repo, child) in &spec.children {
        let child_repo_id = child_repo.as_ref().map_or(repo_id, |repo| repo.id);
        let bridge_spec = JobSpec::new(&format!("trigger-{}", child.name), State::Success, Log::None);
        let bridge_id = add_job(world, (id, repo_id), &bridge_spec, 1, end);
        let mut child = child.clone();
        if child_repo_id == repo_id {
            child.sha = Some(sha.clone());
            child.branch.clone_from(&spec.branch);
        }
        child.age = spec.age;
        let child = add(world, dialect, child_repo_id, &child, Some((id, repo_id, bridge_id)));
        let child_state = world.runs.get(&child.id).map_or(State::Failed, |run| run.state);
        if let Some(bridge) = world.jobs.get_mut(&bridge_id) {
            bridge.bridge_to = Some(child.id);
            bridge.state = child_state;
        }
        states.push((child_state, false));
        handle.children.push(child.id);
        handle.children.extend(child.children);
        handle.jobs.extend(child.jobs);
    }
    let state = spec
        .state
        .unwrap_or_else(|| if spec.config_error.is_some() { State::Failed } else { combined(&states) });
    let run = Run {
        id,
        repo_id,
        number,
        attempt: 1,
        name: spec.name.clone(),
        branch: spec.branch.clone(),
        is_tag: spec.is_tag,
        sha,
        trigger,
        pull: spec.pull.as_ref().map(|pull| (pull.number, pull.repo_id)),
        parent,
        config_error: spec.config_error.clone(),
        state,
        created_at: shift(end, -60),
        updated_at: end,
        finished_at: state.is_ended().then_some(end),
    };
    handle.forge_id = dialect.run_id(&run);
    world.runs.insert(id, run);
    handle.job_ids = job_ids(world, dialect, &handle.jobs);
    handle
}

fn job_ids(world: &World, dialect: &dyn Dialect, jobs: &[u64]) -> Vec<String> {
    jobs.iter().filter_map(|id| world.jobs.get(id)).map(|job| dialect.job_id(world, job)).collect()
}

fn add_job(
    world: &mut World,
    (run_id, repo_id): (u64, u64),
    spec: &JobSpec,
    attempt: u32,
    end: Timestamp,
) -> u64 {
    let id = world.next_large_id();
    let failure_reason = match (&spec.failure_reason, spec.state) {
        (Some(reason), _) => Some(reason.clone()),
        (None, State::Failed) => Some("script_failure".to_owned()),
        (None, State::TimedOut) => Some("job_execution_timeout".to_owned()),
        (None, _) => None,
    };
    let job = Job {
        id,
        run_id,
        repo_id,
        attempt,
        name: spec.name.clone(),
        stage: spec.stage.clone(),
        state: spec.state,
        allow_failure: spec.allow_failure,
        failure_reason,
        is_retried: false,
        log: spec.log.clone(),
        log_delay: spec.log_delay,
        is_log_expired: false,
        erased_at: None,
        created_at: shift(end, -58),
        finished_at: spec.state.is_ended().then_some(end),
        bridge_to: None,
        failing_tests: spec.failing_tests.clone(),
        annotations: spec.annotations.clone(),
    };
    world.jobs.insert(id, job);
    id
}

/// How a run stands by its jobs.
fn combined(states: &[(State, bool)]) -> State {
    let has = |wanted: fn(State) -> bool| {
        states.iter().any(|&(state, may_fail)| wanted(state) && !(may_fail && state.is_failure()))
    };
    if has(|state| !state.is_ended()) {
        State::Running
    } else if has(State::is_failure) {
        State::Failed
    } else if has(|state| state == State::Cancelled) {
        State::Cancelled
    } else {
        State::Success
    }
}

pub(crate) fn rerun(
    world: &mut World,
    dialect: &dyn Dialect,
    run: &RunHandle,
    jobs: &[JobSpec],
) -> RunHandle {
    let now = world.now();
    let counts_attempts = dialect.counts_run_attempts();
    let mut handle = RunHandle { jobs: Vec::new(), children: Vec::new(), ..run.clone() };
    let before = world.runs.get(&run.id).map_or(1, |run| run.attempt);
    if counts_attempts {
        handle.attempt = before + 1;
    }
    for spec in jobs {
        let mut attempt = handle.attempt;
        if !counts_attempts {
            attempt = 1;
            for earlier in world.jobs.values_mut() {
                if earlier.run_id == run.id && earlier.name == spec.name {
                    earlier.is_retried = true;
                    attempt += 1;
                }
            }
        }
        handle.jobs.push(add_job(world, (run.id, run.repo_id), spec, attempt, now));
    }
    let states: Vec<_> = world
        .jobs_of(run.id)
        .filter(|job| if counts_attempts { job.attempt == handle.attempt } else { !job.is_retried })
        .map(|job| (job.state, job.allow_failure))
        .collect();
    if let Some(run) = world.runs.get_mut(&run.id) {
        run.attempt = handle.attempt;
        run.state = combined(&states);
        run.updated_at = now;
        run.finished_at = run.state.is_ended().then_some(now);
    }
    handle.job_ids = job_ids(world, dialect, &handle.jobs);
    handle
}

pub(crate) fn set_state(world: &mut World, run_id: u64, state: State) {
    let now = world.now();
    let Some(run) = world.runs.get_mut(&run_id) else { return };
    run.state = state;
    run.updated_at = now;
    run.finished_at = state.is_ended().then_some(now);
    if state.is_failure() {
        return;
    }
    for job in world.jobs.values_mut().filter(|job| job.run_id == run_id && !job.is_retried) {
        job.state = state;
        job.failure_reason = None;
        job.finished_at = state.is_ended().then_some(now);
    }
}
