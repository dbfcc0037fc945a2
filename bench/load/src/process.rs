//! What the operating system reports about a process, and grants to this one.

use std::io;

/// The memory of a process in KiB: on Linux its proportional share, which counts private memory in full and
/// shared memory in part; elsewhere the resident set.
///
/// # Errors
///
/// If there is no such process, or it is not ours.
pub fn memory(process: u32) -> io::Result<u64> {
    let number = |text: &str| text.split_whitespace().next()?.parse().ok();
    let memory = if cfg!(target_os = "linux") {
        let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup"))?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss:"));
        line.and_then(number)
    } else {
        let mut ps = std::process::Command::new("ps");
        let output = ps
            .args(["-o", "rss=", "-p", &process.to_string()])
            .output()?;
        number(&String::from_utf8_lossy(&output.stdout))
    };
    memory.ok_or_else(|| io::Error::other(format!("the memory of process {process} is unknown")))
}

/// The processor time that the threads of a process have used so far, in nanoseconds. Threads that have ended
/// are not counted: use this for processes whose threads stay.
///
/// # Errors
///
/// If there is no such process, or this is not Linux.
pub fn processor_time(process: u32) -> io::Result<u64> {
    let mut sum = 0;
    for thread in std::fs::read_dir(format!("/proc/{process}/task"))? {
        // The first of three numbers is the time on a processor.
        let text = match std::fs::read_to_string(thread?.path().join("schedstat")) {
            // The thread has ended since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            other => other?,
        };
        let first = text
            .split_whitespace()
            .next()
            .and_then(|word| word.parse::<u64>().ok());
        sum += first.ok_or_else(|| io::Error::other("the kernel keeps no schedstat"))?;
    }
    Ok(sum)
}

/// Allows this process, and those that it starts, to have this many open files.
///
/// # Errors
///
/// If the hard limit is lower, with how to raise it.
pub fn raise_descriptor_limit(wanted: u64) -> io::Result<()> {
    use rlimit::Resource;

    let (soft, hard) = Resource::NOFILE.get()?;
    if hard < wanted {
        return Err(io::Error::other(format!(
            "this needs {wanted} file descriptors in each of two processes, and the hard limit is {hard}: \
             raise it, by `ulimit -Hn {wanted}` as root, in a container by its `--ulimit nofile`"
        )));
    }
    if soft < wanted {
        Resource::NOFILE.set(wanted, hard)?;
    }
    Ok(())
}

/// Two processors, one for the measured server and one for its clients, so that neither takes time from the
/// other and every server has the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processors {
    /// The server's.
    pub server: usize,
    /// The clients'.
    pub clients: usize,
}

#[cfg(target_os = "linux")]
impl Processors {
    /// The first two that this process may use; `None` if there is only one.
    ///
    /// # Errors
    ///
    /// If the kernel does not report them.
    pub fn reserve() -> io::Result<Option<Self>> {
        use nix::sched::{CpuSet, sched_getaffinity};

        let usable = sched_getaffinity(nix::unistd::Pid::from_raw(0))?;
        let mut usable = (0..CpuSet::count()).filter(|&it| usable.is_set(it).unwrap_or(false));
        Ok(usable
            .next()
            .zip(usable.next())
            .map(|(server, clients)| Self { server, clients }))
    }

    /// Pins this thread, and the processes that it starts, to this processor.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn stay_on(processor: usize) -> io::Result<()> {
        use nix::sched::{CpuSet, sched_setaffinity};

        let mut only = CpuSet::new();
        only.set(processor)?;
        Ok(sched_setaffinity(nix::unistd::Pid::from_raw(0), &only)?)
    }
}

#[cfg(not(target_os = "linux"))]
impl Processors {
    /// Always `None`: this system does not support pinning.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn reserve() -> io::Result<Option<Self>> {
        Ok(None)
    }

    /// Does nothing.
    ///
    /// # Errors
    ///
    /// Never.
    pub fn stay_on(_: usize) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn memory_that_is_used_is_counted() {
        let own = std::process::id();
        let before = memory(own).unwrap();
        let used = std::hint::black_box(vec![1_u8; 32 * 1024 * 1024]);
        let grown = memory(own).unwrap().saturating_sub(before);
        // The tests beside this one use some, too, and start processes that share some.
        assert!((24 * 1024..40 * 1024).contains(&grown), "{grown} KiB");
        drop(used);
    }

    #[test]
    fn processor_time_passes_with_work_and_not_with_sleep() {
        // In its own process: parallel tests use processor time, too.
        let mut sleeper = std::process::Command::new("sleep")
            .arg("60")
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
        let used = processor_time(sleeper.id()).unwrap();
        sleeper.kill().unwrap();
        sleeper.wait().unwrap();
        assert!(used < 100_000_000, "{used} ns");

        let own = std::process::id();
        let before = processor_time(own).unwrap();
        let mut steps = 0_u64;
        while processor_time(own).unwrap() < before + 20_000_000 {
            steps += 1;
        }
        assert!(steps > 0);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        // Above the largest limit on Linux.
        assert!(memory(1 << 30).is_err());
        assert!(processor_time(1 << 30).is_err());
    }

    #[test]
    fn a_limit_beyond_the_hard_one_says_how_to_raise_it() {
        let error = raise_descriptor_limit(u64::MAX - 1)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("ulimit -Hn") && error.contains("hard limit is"),
            "{error}"
        );
    }

    #[test]
    fn who_stays_on_a_processor_has_only_that_one() {
        std::thread::spawn(|| {
            let Some(both) = Processors::reserve().unwrap() else {
                return;
            };
            assert_ne!(both.server, both.clients);
            Processors::stay_on(both.clients).unwrap();
            assert_eq!(Processors::reserve().unwrap(), None);
        })
        .join()
        .unwrap();
    }
}
