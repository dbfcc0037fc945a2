//! Compares policies in a herd; `--write` writes the result to the project's documentation.

use std::fmt::Write;
use std::num::NonZero;
use std::path::Path;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use simulation::herd::{Hint, Outcome, POLICIES, Peer, Policy, run};

const OUTAGES_S: [u64; 3] = [0, 30, 300];

/// The sizes of the herds in the documentation.
const DOCUMENTED: [usize; 2] = [10_000, 1_000_000];

const HELP: &str = "\
Simulates a herd of clients that reconnect to one server, with the policy of this library and others.

Options:
  --clients N   number of clients (default 10000); the server accepts N / 20 handshakes a second
  --write       write docs/herd.md and docs/herd.svg, with 10,000 and 1,000,000 clients
  --help        this text
";

/// A policy, and its result for each outage.
type Row = (Policy, Vec<Outcome>);

fn main() -> ExitCode {
    let mut clients = 10_000;
    let mut write = false;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--write" => write = true,
            "--help" => {
                print!("{HELP}");
                return ExitCode::SUCCESS;
            }
            "--clients" => match words.next().and_then(|text| text.parse().ok()) {
                Some(number @ 200..=1_000_000) => clients = number,
                _ => {
                    eprintln!("--clients takes a number from 200 to 1000000");
                    return ExitCode::from(2);
                }
            },
            _ => {
                eprintln!("unknown option {word}; --help lists them");
                return ExitCode::from(2);
            }
        }
    }
    if !write {
        print!("{}", tables(clients, &rows(clients)));
        return ExitCode::SUCCESS;
    }
    let herds = DOCUMENTED.map(|clients| (clients, rows(clients)));
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let plot = plot(&herds[0].1);
    for (name, text) in [("herd.md", document(&herds)), ("herd.svg", plot)] {
        if let Err(error) = std::fs::write(docs.join(name), text) {
            eprintln!("docs/{name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// Runs all policies, with one thread per core of the machine.
fn rows(clients: usize) -> Vec<Row> {
    let runs: Vec<(Policy, u64)> = POLICIES
        .into_iter()
        .flat_map(|policy| OUTAGES_S.map(|outage| (policy, outage)))
        .collect();
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut done = Vec::new();
        while let Some(&(policy, outage)) = runs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let outcome = run(policy, clients, clients as u64 / 20, outage * 1_000, 1);
            done.push(((policy, outage), outcome));
        }
        done
    };
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let done: Vec<_> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers
            .into_iter()
            .flat_map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    });
    let of = |key| {
        let found = done.iter().find(|(known, _)| *known == key);
        found.map(|(_, outcome)| outcome.clone())
    };
    POLICIES
        .into_iter()
        .map(|policy| {
            let outcomes = OUTAGES_S.iter().filter_map(|outage| of((policy, *outage)));
            (policy, outcomes.collect())
        })
        .collect()
}

fn document(herds: &[(usize, Vec<Row>)]) -> String {
    let mut text = "# The herd\n\n\
         Many clients lose the same server at the same moment. The server is away for 0, 30 or 300 \
         s. Then it accepts a twentieth of the clients per second, spread evenly, and refuses the \
         others at once. Even if every client came exactly at its turn, the last would be back \
         after 20 s.\n\n\
         The clients of this library run its real core with its defaults. The other rows are the \
         published default policies of other libraries, each reduced to one formula. The simulation \
         leaves out what else those libraries do, the duration of a handshake, load balancers, and \
         the browser's own throttling of failed connections. Nothing else differs between the rows.\n\n\
         * **attempts**: per client, until it is back\n\
         * **down/s**: attempts per second while the server is away, all clients together\n\
         * **peak/s**: the most attempts in one second after it is back\n\
         * **p50, p99**: seconds from the server's return until half and 99 % of the clients are \
         back; – if that never happens\n\n\
         ![Attempts in each second after a restart, of 10,000 clients](herd.svg)\n\n\
         `cargo run --release -p simulation --bin herd -- --write` generates this page in a few \
         minutes, with about 2 GB of memory per core; `--clients N` prints the tables for a herd of \
         another size.\n\n\
         What real clients do when a real server restarts is measured beside this simulation, in \
         [native.md](native.md#a-restart-under-many-sessions).\n\n"
        .to_owned();
    for (clients, rows) in herds {
        text.push_str(&tables(*clients, rows));
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

fn tables(clients: usize, rows: &[Row]) -> String {
    let mut text = format!(
        "## {} clients, {} handshakes a second\n\n",
        grouped(clients),
        grouped(clients / 20)
    );
    for (index, outage) in OUTAGES_S.iter().enumerate() {
        let _ = write!(
            text,
            "### {outage} s away\n\n\
             | policy | attempts | down/s | peak/s | p50 | p99 | gave up |\n\
             |---|--:|--:|--:|--:|--:|--:|\n"
        );
        for (policy, outcomes) in rows {
            let outcome = &outcomes[index];
            let seconds = |share| {
                outcome
                    .back_within(share)
                    .map_or("–".to_owned(), |seconds| format!("{seconds:.1}"))
            };
            let _ = writeln!(
                text,
                "| {} | {:.2} | {:.0} | {} | {} | {} | {} |",
                policy.name(),
                outcome.attempts_each(),
                outcome.rate_while_down() * clients as f64,
                outcome.peak(),
                seconds(0.5),
                seconds(0.99),
                outcome.gave_up()
            );
        }
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text.push('\n');
    text
}

/// With thousands separators.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The attempts in each second after a restart, for a few policies, on a logarithmic scale.
fn plot(rows: &[Row]) -> String {
    const SECONDS: usize = 60;
    const LINES: [(Policy, &str, &str); 6] = [
        (Policy::Peer(Peer::MqttJs), "#9a6700", "MQTT.js"),
        (Policy::Peer(Peer::Partysocket), "#8250df", "partysocket"),
        (Policy::Peer(Peer::SocketIo), "#57606a", "Socket.IO"),
        (
            Policy::Peer(Peer::Pladaria),
            "#bc4c00",
            "reconnecting-websocket",
        ),
        (Policy::Ours(Hint::None), "#0969da", "steady-socket"),
        (
            Policy::Ours(Hint::Window(20_000)),
            "#1a7f37",
            "steady-socket, told 20 s",
        ),
    ];
    let x = |second: usize| 60.0 + second as f64 * 10.0;
    // From 1 to 100,000 attempts a second.
    let y = |attempts: u64| 320.0 - (attempts.max(1) as f64).log10() * 60.0;
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 370\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<title>Attempts in each second after a restart</title>\n\
         <rect width=\"860\" height=\"370\" fill=\"#fff\"/>\n",
    );
    for power in 0..=5_u32 {
        let attempts = 10_u64.pow(power);
        let at = y(attempts);
        let _ = writeln!(
            svg,
            "<path d=\"M60 {at}H660\" stroke=\"#d0d7de\"/>\
             <text x=\"54\" y=\"{}\" text-anchor=\"end\">{attempts}</text>",
            at + 4.0
        );
    }
    for second in (0..=SECONDS).step_by(10) {
        let _ = writeln!(
            svg,
            "<text x=\"{}\" y=\"338\" text-anchor=\"middle\">{second}</text>",
            x(second)
        );
    }
    svg.push_str(
        "<text x=\"360\" y=\"360\" text-anchor=\"middle\">seconds after the loss</text>\n\
         <text x=\"60\" y=\"12\">attempts a second</text>\n",
    );
    for (index, (policy, colour, name)) in LINES.iter().enumerate() {
        let Some((_, outcomes)) = rows.iter().find(|(row, _)| row == policy) else {
            continue;
        };
        let points: Vec<String> = (0..=SECONDS)
            .map(|second| {
                let attempts = outcomes[0].per_second.get(second).copied().unwrap_or(0);
                format!("{:.0},{:.1}", x(second), y(attempts))
            })
            .collect();
        let at = 40 + 20 * index;
        let _ = writeln!(
            svg,
            "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" points=\"{}\"/>\n\
             <path d=\"M675 {at}h20\" stroke=\"{colour}\" stroke-width=\"3\"/>\
             <text x=\"702\" y=\"{}\">{name}</text>",
            points.join(" "),
            at + 4
        );
    }
    svg.push_str("</svg>\n");
    svg
}
