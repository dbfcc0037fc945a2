//! What an idle client costs the server in memory.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use load::Result;
use load::contender::Contender;
use load::process::{Processors, memory, raise_descriptor_limit};
use load::report::Report;
use steady_socket::native;

use crate::clients::Clients;
use crate::{NAMES, stay_on};

/// The names of what is measured among so many clients: all that a client takes, and what its session adds to that.
pub(crate) fn cases(count: usize) -> [String; 3] {
    [
        "memory of an idle client",
        "memory of an idle session, connected",
        "memory of an idle session, waiting",
    ]
    .map(|what| format!("{what}/{count}"))
}

/// How long it takes until nothing moves any more: acknowledgements wait for a moment.
const SETTLES: Duration = Duration::from_secs(3);

/// How long to wait for what has to come. This protects against a hang.
const PATIENCE: Duration = Duration::from_secs(60);

/// Keeps connected clients until the input ends.
pub(crate) fn hold(address: &str, count: usize, with_session: bool) -> Result<()> {
    raise_descriptor_limit(count as u64 + 500)?;
    native::run(async {
        let clients = Clients::connect(address, count, with_session, 1).await?;
        println!("{count} are connected");
        std::io::stdout().flush()?;
        // They answer pings meanwhile.
        tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())).await??;
        drop(clients);
        Ok(())
    })?
}

/// A process that holds clients; dropping it kills it, and its connections break.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Holder {
    fn start(address: &str, count: usize, with_session: bool) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["--hold", if with_session { "session" } else { "plain" }])
            .args(["--address", address, "--idle", &count.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut holder = Self(command.spawn()?);
        let said = holder.0.stdout.take().ok_or("no output of the clients")?;
        let mut line = String::new();
        // It gives up by itself.
        BufReader::new(said).read_line(&mut line)?;
        match line.ends_with("are connected\n") {
            true => Ok(holder),
            false => Err("the idle clients did not connect".into()),
        }
    }
}

/// The server's memory in KiB.
#[derive(Debug, Clone, Copy)]
struct Seen {
    alone: u64,
    connected: u64,
    /// After all connections broke.
    waiting: u64,
}

/// Measures once without sessions and once with them, in random order.
pub(crate) fn measure(
    server: &Contender,
    count: usize,
    processors: Option<Processors>,
    report: &mut Report,
) -> Result<()> {
    let first = fastrand::bool();
    let a = see(server, count, first, processors)?;
    let b = see(server, count, !first, processors)?;
    let both = if first { [b, a] } else { [a, b] };
    let each = |more: f64| more * 1024.0 / count as f64;
    let [client_case, connected_case, waiting_case] = cases(count);
    for (name, seen) in NAMES.iter().zip(&both) {
        let bytes = each(seen.connected as f64 - seen.alone as f64);
        report.add(client_case.clone(), name, "bytes", bytes, "");
    }
    let [plain, session] = both;
    let connected = each(session.connected as f64 - plain.connected as f64);
    let waiting = each(session.waiting as f64 - plain.waiting as f64);
    eprintln!(
        "an idle session takes {connected:.0} bytes while connected, {waiting:.0} while it waits: {both:?}"
    );
    let name = NAMES[1];
    report.add(connected_case, name, "bytes", connected, "");
    report.add(waiting_case, name, "bytes", waiting, "");
    Ok(())
}

fn see(
    server: &Contender,
    count: usize,
    with_session: bool,
    processors: Option<Processors>,
) -> Result<Seen> {
    stay_on(processors.map(|both| both.server))?;
    let server = server.start()?;
    stay_on(processors.map(|both| both.clients))?;
    let alone = memory(server.id())?;
    let holder = Holder::start(server.address(), count, with_session)?;
    std::thread::sleep(SETTLES);
    let connected = memory(server.id())?;
    drop(holder);
    let began = Instant::now();
    while descriptors(server.id())? > count / 2 {
        if began.elapsed() > PATIENCE {
            return Err("the server keeps broken connections".into());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    std::thread::sleep(SETTLES);
    Ok(Seen {
        alone,
        connected,
        waiting: memory(server.id())?,
    })
}

/// How many files and sockets a process has open.
fn descriptors(process: u32) -> Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{process}/fd"))?.count())
}
