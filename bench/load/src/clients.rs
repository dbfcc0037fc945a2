//! Clients of a hello server, many in one thread. Every greeting is compared with the name that was sent.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use tokio::net::TcpStream;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use crate::{Error, Result};

/// How many handshakes run at once: as many as fit in the shortest listen queue in use.
const AT_ONCE: usize = 100;

/// The time limit for a single reply, even one for which thousands queue. It protects against a hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connected client.
pub struct Client {
    socket: WebSocketStream<TcpStream>,
    number: usize,
    /// How many greetings it has received.
    greetings: u64,
}

impl Client {
    async fn connect(address: &str, number: usize) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        // Its greetings are short, and each read clears the whole buffer.
        let config = WebSocketConfig::default()
            .read_buffer_size(1024)
            .write_buffer_size(0);
        let url = format!("ws://{address}/");
        let connected = client_async_with_config(url, stream, Some(config));
        let (socket, _) = timeout(PATIENCE, connected)
            .await
            .map_err(|_| format!("client {number} was not accepted within {PATIENCE:?}"))??;
        Ok(Self {
            socket,
            number,
            greetings: 0,
        })
    }

    /// Sends a unique name, and returns once it is greeted.
    async fn is_greeted(&mut self) -> Result<()> {
        let name = format!("guest {} of {}", self.greetings, self.number);
        let expected = format!("Hello {name}!");
        self.socket.send(Message::from(name)).await?;
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) if text.as_str() == expected => {
                    self.greetings += 1;
                    return Ok(());
                }
                // The socket answers pings itself.
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(other)) => return Err(format!("{other:?} came for {expected:?}").into()),
                Some(Err(error)) => return Err(format!("{error} came for {expected:?}").into()),
                None => return Err(format!("the connection ended before {expected:?}").into()),
            }
        }
    }

    async fn is_greeted_in_time(&mut self) -> Result<()> {
        timeout(PATIENCE, self.is_greeted())
            .await
            .map_err(|_| format!("client {} waited {PATIENCE:?}", self.number))?
    }
}

/// Adds clients until there are `count` of them, and greets each once.
///
/// # Errors
///
/// If one is not accepted or not greeted.
pub async fn connect(clients: &mut Vec<Client>, address: &str, count: usize) -> Result<()> {
    let connecting = (clients.len()..count).map(|number| async move {
        let mut client = Client::connect(address, number).await?;
        client.is_greeted_in_time().await?;
        Ok::<_, Error>(client)
    });
    let connected: Vec<_> = stream::iter(connecting)
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    clients.extend(connected);
    Ok(())
}

/// How many greetings arrived while every client sent again as soon as it was greeted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saturation {
    /// The ones within the given time.
    pub in_time: u64,
    /// Also the ones still awaited at the end of that time.
    pub all: u64,
}

/// Makes every client send again as soon as it is greeted, for this long.
///
/// # Errors
///
/// If one is not greeted, or not by its name.
pub async fn saturate(clients: &mut [Client], time: Duration) -> Result<Saturation> {
    let end = Instant::now() + time;
    let loops = clients.iter_mut().map(|client| async move {
        let mut count = Saturation { in_time: 0, all: 0 };
        loop {
            client.is_greeted_in_time().await?;
            count.all += 1;
            if Instant::now() >= end {
                return Ok::<_, Error>(count);
            }
            count.in_time += 1;
        }
    });
    let mut sum = Saturation { in_time: 0, all: 0 };
    for count in join_all(loops).await {
        let count = count?;
        sum.in_time += count.in_time;
        sum.all += count.all;
    }
    Ok(sum)
}

/// Sends this many names per second, each from an idle client, for this long. Returns how long each greeting
/// took, sorted. With few clients the rate is lower if a reply takes longer than the interval.
///
/// # Errors
///
/// If one is not greeted, or not by its name.
pub async fn pace(
    clients: Vec<Client>,
    per_second: u32,
    time: Duration,
) -> Result<(Vec<Client>, Vec<Duration>)> {
    let mut idle = clients;
    fastrand::shuffle(&mut idle);
    let mut idle = VecDeque::from(idle);
    let mut awaited = FuturesUnordered::new();
    let mut latencies = Vec::new();
    let mut due = interval(Duration::from_secs(1) / per_second);
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let end = Instant::now() + time;
    loop {
        let sending = Instant::now() < end;
        if !sending && awaited.is_empty() {
            latencies.sort_unstable();
            return Ok((idle.into(), latencies));
        }
        tokio::select! {
            biased;
            Some(greeted) = awaited.next() => {
                let (client, latency) = greeted?;
                latencies.push(latency);
                idle.push_back(client);
            }
            _ = due.tick(), if sending && !idle.is_empty() => {
                if let Some(mut client) = idle.pop_front() {
                    awaited.push(async move {
                        let start = Instant::now();
                        client.is_greeted_in_time().await?;
                        Ok::<_, Error>((client, start.elapsed()))
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_tungstenite::accept_async;

    use super::*;

    /// A server that gives this reply to the nth name of a connection. It is needed because the measured
    /// servers greet correctly.
    async fn serve(answer: fn(&str, usize) -> Vec<Message>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let mut socket = accept_async(stream).await.unwrap();
                    let mut heard = 0;
                    while let Some(Ok(Message::Text(name))) = socket.next().await {
                        for message in answer(&name, heard) {
                            socket.send(message).await.unwrap();
                        }
                        heard += 1;
                    }
                });
            }
        });
        address
    }

    fn greet(name: &str, _: usize) -> Vec<Message> {
        vec![format!("Hello {name}!").into()]
    }

    #[tokio::test]
    async fn all_are_greeted_and_counted() {
        let address = serve(greet).await;
        let mut clients = Vec::new();
        connect(&mut clients, &address, 2).await.unwrap();
        connect(&mut clients, &address, 5).await.unwrap();
        assert_eq!(clients.len(), 5);
        let greeted = |clients: &[Client]| clients.iter().map(|it| it.greetings).sum::<u64>();
        assert_eq!(greeted(&clients), 5);

        let saturation = saturate(&mut clients, Duration::from_millis(50))
            .await
            .unwrap();
        assert_eq!(greeted(&clients), 5 + saturation.all);
        // The last reply of each arrived at the end of the time.
        assert_eq!(saturation.all, saturation.in_time + 5);

        let before = greeted(&clients);
        let (clients, latencies) = pace(clients, 1000, Duration::from_millis(50))
            .await
            .unwrap();
        assert_eq!(clients.len(), 5);
        assert_eq!(greeted(&clients), before + latencies.len() as u64);
        assert!(
            latencies.is_sorted() && (1..=51).contains(&latencies.len()),
            "{latencies:?}"
        );
    }

    #[tokio::test]
    async fn a_greeting_of_somebody_else_is_found() {
        let address = serve(|name, heard| match heard {
            3 => vec![Message::from("Hello guest 2 of 0!")],
            _ => greet(name, heard),
        })
        .await;
        let mut clients = Vec::new();
        connect(&mut clients, &address, 1).await.unwrap();
        let error = saturate(&mut clients, PATIENCE)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("for \"Hello guest 3 of 0!\""), "{error}");
    }

    #[tokio::test]
    async fn a_connection_that_ends_is_found() {
        let address = serve(|_, _| vec![Message::Close(None)]).await;
        let error = connect(&mut Vec::new(), &address, 1)
            .await
            .unwrap_err()
            .to_string();
        assert!(error.contains("Close"), "{error}");
    }

    #[tokio::test]
    async fn a_ping_between_is_no_greeting() {
        let address =
            serve(|name, _| vec![Message::Ping(Vec::new().into()), greet(name, 0).remove(0)]);
        let mut clients = Vec::new();
        // The first reply contains the pong, which this test's server does not expect.
        connect(&mut clients, &address.await, 1).await.unwrap();
        assert_eq!(clients[0].greetings, 1);
    }
}
