//! Memory, disk, time, and machines that go away.
//!
//! **What:** the kernel or a runtime says that memory ran out, the disk is full, the time was up, or the
//! runner was lost.
//! **Why:** these kill whatever runs, so the test or compiler that died is only a consequence.
//! **What to do:** less parallelism or a bigger machine; for lost runners run the job again.

use crate::report::Category::{Cancelled, Crash, DiskFull, Oom, RunnerLost, Timeout};
use crate::rules::Rule;

pub(crate) const RULES: &[Rule] = &[
    Rule::cause("oom.killed", Oom, 84, &["Killed", "signal 9", "SIGKILL", "signal: 9"], r"(?:^(?:\S+: line \d+: +\d+ )?Killed(?:\s.*)?$|\(signal: 9, SIGKILL|signal: killed|terminated by signal 9\b|Killed signal terminated program|^virtual memory exhausted)")
        .span(1, 0)
        .tested(&["Killed", "c++: fatal error: Killed signal terminated program cc1plus", "/b/x.sh: line 3: 1234 Killed   ./run"], &["not Killed"]),
    Rule::cause("oom.worker", Oom, 82, &["137", "SIGKILL", "exit code 137"], r"(?:finished with non-zero exit value 137|command terminated with exit code 137|(?:exited|terminated|killed) (?:with|by|due to) (?:the )?signal:? \(?SIGKILL|signal[=:] ?'?SIGKILL)")
        .span(1, 1)
        .tested(&["Process 'Gradle Test Executor 3' finished with non-zero exit value 137", "A worker process was terminated by signal SIGKILL", "error: command terminated with exit code 137"], &["exit code 137 is not used", "sent SIGKILL"]),
    Rule::cause("worker.lost", Crash, 72, &["node down: ", " crashed while running", "Jest worker encountered", "worker process has quit", "Worker exited unexpectedly", "Worker terminated", "exited unexpectedly"], r"(?:^\[gw\d+\] node down: |worker '?gw\d+'? crashed while running|Jest worker encountered \d+ child process|[Ww]orker (?:process )?(?:exited|terminated|quit) unexpectedly|worker process has quit)")
        .span(1, 2)
        .tested(&["[gw1] node down: Not properly terminated", "worker 'gw0' crashed while running 'tests/till.py::test_open'", "Error: Worker exited unexpectedly"], &["worker started"]),
    Rule::cause("oom.kernel", Oom, 90, &["Out of memory", "oom-kill", "OOMKilled", "Cannot allocate memory", "out of memory"], r"(?:Out of memory: Kill|oom-kill|OOMKilled|(?:fork|mmap|malloc|exec)\S*:? .*Cannot allocate memory|Cannot allocate memory|CUDA out of memory|(?:^|\W)fatal error: .*out of memory|OutOfMemoryError: CUDA)")
        .span(0, 2)
        .tested(&["torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 12.50 GiB.", "bash: fork: Cannot allocate memory", "Reason: OOMKilled"], &["out of memory budget"]),
    Rule::cause("jvm.heap", Oom, 88, &["java.lang.OutOfMemoryError", "GC overhead limit exceeded", "insufficient memory for the Java"], r"(?:java\.lang\.OutOfMemoryError|GC overhead limit exceeded|insufficient memory for the Java Runtime)")
        .with_advice("The JVM ran out of memory.", "Raise -Xmx for the process that died, or use fewer parallel workers.")
        .span(0, 3)
        .tested(&["java.lang.OutOfMemoryError: Java heap space"], &["OutOfMemory"]),
    Rule::cause("disk.full", DiskFull, 92, &["No space left on device", "ENOSPC", "Disk quota exceeded", "There is not enough space on the disk", "disk is full"], r"(?:No space left on device|\bENOSPC\b|Disk quota exceeded|There is not enough space on the disk|(?i:disk is full))")
        .span(0, 1)
        .tested(&["cp: error writing 'x': No space left on device", "Error: ENOSPC: no space left on device, write"], &["space left"]),
    Rule::cause("runner.lost", RunnerLost, 90, &["lost communication with the server", "received a shutdown signal", "The runner has received", "Command Close created at", "agent went offline", "Cannot contact ", "ChannelClosedException", "was removed from the cluster", "runner system failure", "pod was deleted", "waiting for pod running", "The hosted runner encountered"], r"(?:lost communication with the server|has received a shutdown signal|hudson\.remoting\.(?:Channel\$OrderlyShutdown|ChannelClosedException)|agent went offline|Agent was removed|^Cannot contact \S+:|timed out waiting for pod to start|pod was deleted|The hosted runner encountered an error)")
        .span(0, 2)
        .tested(&["The hosted runner lost communication with the server. Anything in your workflow", "java.io.IOException: hudson.remoting.ChannelClosedException: the channel is shut", "ERROR: Job failed (system failure): prepare environment: waiting for pod running: pod was deleted"], &["runner started"]),
    Rule::cause("runner.system_failure", RunnerLost, 72, &["Job failed (system failure)"], r"^ERROR: Job failed \(system failure\): (?P<message>.+)")
        .tested(&["ERROR: Job failed (system failure): aborted: terminated"], &["Job failed"]),
    Rule::cause("job.timeout", Timeout, 90, &["exceeded the maximum execution time", "execution took longer than", "No output has been received", "has been terminated", "Build timed out", "Too long with no output", "The job exceeded the maximum time limit", "context deadline exceeded", "task timeout", "exceeded timeout", "Max time", "maximum run time", "Task timeout"], r"(?:has exceeded the maximum execution time|execution took longer than|No output has been received in the last|^Build timed out|Too long with no output|The job exceeded the maximum time limit|Task timeout after \d+|[Mm]aximum run ?time)")
        .span(3, 0)
        .tested(&["The job running on runner till-7 has exceeded the maximum execution time of 45 minutes.", "ERROR: Job failed: execution took longer than 1h0m0s seconds", "No output has been received in the last 10m0s, this potentially indicates a stalled build", "Task timeout after 3600 seconds. Force killing container."], &["execution took 3 s"]),
    Rule::cause("command.timeout", Timeout, 70, &["timed out after", "longer than ", "more than ", "took >", "took over ", "Timed out after", "timeout: sending signal", "Timeout waiting for", "timed out waiting for", "exceeded the time limit", "Terminated"], r"(?:(?i)\b(?:took|ran|running)(?: for)? (?:more than |longer than |over |>) ?\d+ ?(?:s|m|h|sec|min|hour)\w*\b|(?i)(?:^|\b)(?:command|process|step|build|job|action|task)\b.* timed out after|^timeout: sending signal|timed out waiting for|timeout waiting for)")
        .span(1, 1)
        .tested(&["Error: Process timed out after 60 seconds", "the drawer took more than 90 seconds", "error: timed out waiting for the condition"], &["no time out"]),
    Rule::cause("job.cancelled", Cancelled, 74, &["operation was canceled", "run was canceled", "Aborted by", "Job was canceled", "Job was cancelled", "The build was canceled", "Aborting task"], r"(?:^The (?:operation|run|job|build) was cancell?ed|^Aborted by \S+|Job was cancell?ed|^Aborting task)")
        .span(1, 0)
        .tested(&["The operation was canceled.", "Aborted by admin"], &["canceled"]),
];
