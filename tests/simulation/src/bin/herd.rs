//! Compares policies in a herd; with `--write`, into the project's documentation.

use std::fmt::Write;
use std::path::Path;
use std::process::ExitCode;

use simulation::herd::{Hint, Outcome, POLICIES, Peer, Policy, run};

const OUTAGES_S: [u64; 3] = [0, 30, 300];

fn main() -> ExitCode {
    let mut clients = 10_000;
    let mut write = false;
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "--write" => write = true,
            "--clients" => match words.next().and_then(|text| text.parse().ok()) {
                Some(number @ 200..=1_000_000) => clients = number,
                _ => {
                    eprintln!("--clients takes a number from 200 to 1000000");
                    return ExitCode::from(2);
                }
            },
            _ => {
                eprintln!("unknown option {word}; there are --clients N and --write");
                return ExitCode::from(2);
            }
        }
    }
    let rows: Vec<(Policy, Vec<Outcome>)> = POLICIES
        .into_iter()
        .map(|policy| {
            let outcomes = OUTAGES_S
                .map(|outage| run(policy, clients, clients as u64 / 20, outage * 1_000, 1));
            (policy, outcomes.to_vec())
        })
        .collect();
    let table = table(clients, &rows);
    print!("{table}");
    if write {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
        for (name, text) in [("herd.md", table), ("herd.svg", plot(&rows))] {
            if let Err(error) = std::fs::write(docs.join(name), text) {
                eprintln!("docs/{name}: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    ExitCode::SUCCESS
}

fn table(clients: usize, rows: &[(Policy, Vec<Outcome>)]) -> String {
    let mut text = format!(
        "# The herd\n\n\
         {clients} clients lose the same server at the same moment. It is away for 0, 30 or 300 s, and \
         then takes {} handshakes a second, spread evenly; it refuses the others at once. Even if every \
         client came exactly when it is its turn, the last would be back after 20 s.\n\n\
         The clients of this library run its real core with its defaults. Beside it stand the default \
         policies that other libraries publish, each as one formula; what else those libraries do is left \
         out, and so are the time that a handshake takes, load balancers, and the browser's own brake on \
         failing connections. Nothing else differs between the rows.\n\n\
         * **attempts**: of each client, until it is back\n\
         * **down/s**: attempts a second while the server is away, of all clients together\n\
         * **peak/s**: the most attempts in one second after it is back\n\
         * **p50, p99**: seconds after the server's return until half and 99 % of the clients are back; \
         – where they never are\n\n\
         ![Attempts in each second after a restart](herd.svg)\n\n\
         Made by `cargo run -p simulation --bin herd -- --write`; with `--clients N` for another size, \
         the server scaled likewise.\n\n",
        clients / 20
    );
    for (index, outage) in OUTAGES_S.iter().enumerate() {
        let _ = write!(
            text,
            "## {outage} s away\n\n\
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

/// The attempts in each second after a restart, for a few policies, on a logarithmic scale.
fn plot(rows: &[(Policy, Vec<Outcome>)]) -> String {
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
