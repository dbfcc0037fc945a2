//! Rounds through all servers and all numbers of connections.

use std::time::{Duration, Instant};

use crate::Result;
use crate::clients::{self, Saturation};
use crate::contender::Contender;
use crate::process::{Processors, memory, processor_time};
use crate::report::{Report, quantile};

/// The part of the project's benchmarks that the results belong to.
const PART: u32 = 5;

/// How long and how often to measure.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The numbers of connections.
    pub connections: Vec<usize>,
    /// How many values to take per quantity.
    pub rounds: u32,
    /// How long all clients send as fast as they are greeted.
    pub saturated: Duration,
    /// How long to send at the rate [`Self::per_second`].
    pub paced: Duration,
    /// A rate at which no server worth measuring has to queue.
    pub per_second: u32,
}

/// Runs all rounds, each in another order, and reports progress on standard error.
///
/// # Errors
///
/// If a server does not start, or greets incorrectly.
pub async fn run(
    contenders: &[Contender],
    plan: &Plan,
    processors: Option<Processors>,
) -> Result<Report> {
    let mut report = Report::new(PART);
    let (mut counts, mut order) = (plan.connections.clone(), Vec::from_iter(contenders));
    for round in 1..=plan.rounds {
        fastrand::shuffle(&mut counts);
        for &connections in &counts {
            fastrand::shuffle(&mut order);
            // What is compared is measured in close succession.
            for contender in &order {
                let seen = measure(contender, connections, plan, processors)
                    .await
                    .map_err(|error| {
                        format!("{} with {connections} connections: {error}", contender.name)
                    })?;
                eprintln!(
                    "round {round} of {}: {connections} connections to {}: {:.0} greetings a second",
                    plan.rounds, contender.name, seen.per_second
                );
                seen.add_to(&mut report, contender.name, connections, plan.per_second);
            }
        }
    }
    report.sort(contenders.iter().map(|contender| contender.name));
    Ok(report)
}

/// The results of one server with this many connections.
struct Seen {
    per_second: f64,
    /// The server's, per greeting.
    processor_time: Duration,
    /// The share of one processor that the clients used, from 0 to 1. Near 1, the clients are the bottleneck.
    clients_busy: f64,
    median: Duration,
    p99: Duration,
    /// In KiB: of the whole process, and for each connection except the first.
    memory: u64,
    memory_each: Option<f64>,
}

async fn measure(
    contender: &Contender,
    connections: usize,
    plan: &Plan,
    processors: Option<Processors>,
) -> Result<Seen> {
    // A child process stays on the processor of the thread that starts it.
    stay_on(processors.map(|both| both.server))?;
    let server = contender.start()?;
    stay_on(processors.map(|both| both.clients))?;
    let (server_id, own_id) = (server.id(), std::process::id());

    let mut clients = Vec::with_capacity(connections);
    // The first includes what the server allocates only once.
    clients::connect(&mut clients, server.address(), 1).await?;
    let memory_of_first = memory(server_id)?;
    clients::connect(&mut clients, server.address(), connections).await?;
    let memory = memory(server_id)?;
    let more = connections - 1;
    let memory_each = (more > 0).then(|| (memory as f64 - memory_of_first as f64) / more as f64);

    // Caches and buffers grow to their size.
    clients::saturate(&mut clients, plan.saturated / 4).await?;
    let (server_before, own_before) = (processor_time(server_id)?, processor_time(own_id)?);
    let start = Instant::now();
    let Saturation { in_time, all } = clients::saturate(&mut clients, plan.saturated).await?;
    let took = start.elapsed();
    let server_time = processor_time(server_id)? - server_before;
    let own_time = processor_time(own_id)? - own_before;

    let (clients, latencies) = clients::pace(clients, plan.per_second, plan.paced).await?;
    // Before its clients go, or it would complain about each.
    drop(server);
    drop(clients);
    let latency =
        |share| quantile(&latencies, share).ok_or("nothing was greeted in the time given");
    Ok(Seen {
        per_second: in_time as f64 / plan.saturated.as_secs_f64(),
        processor_time: Duration::from_nanos(server_time / all.max(1)),
        clients_busy: own_time as f64 / took.as_nanos() as f64,
        median: latency(0.5)?,
        p99: latency(0.99)?,
        memory,
        memory_each,
    })
}

fn stay_on(processor: Option<usize>) -> Result<()> {
    if let Some(processor) = processor {
        Processors::stay_on(processor)?;
    }
    Ok(())
}

impl Seen {
    fn add_to(&self, report: &mut Report, contender: &'static str, connections: usize, rate: u32) {
        let microseconds = |time: Duration| time.as_secs_f64() * 1e6;
        let paced = format!("at {rate} greetings a second");
        let mut add = |what: &str, unit, value, note: &str| {
            let case = format!("{what}/{connections}");
            report.add(case, contender, unit, value, note);
        };
        add("greetings a second", "1/s", self.per_second, "");
        add(
            "processor time for a greeting",
            "µs",
            microseconds(self.processor_time),
            "",
        );
        add(
            "what the clients use of their processor",
            "%",
            self.clients_busy * 100.0,
            "",
        );
        add("latency p50", "µs", microseconds(self.median), &paced);
        add("latency p99", "µs", microseconds(self.p99), &paced);
        match self.memory_each {
            Some(each) => add("memory for a connection", "KiB", each, ""),
            None => add("memory of the server", "KiB", self.memory as f64, ""),
        }
    }
}
