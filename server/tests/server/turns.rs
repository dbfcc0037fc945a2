//! What a turn of the scheduler does. The sockets are channels, so that nothing but the server decides when it runs.

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_util::{Sink, Stream};
use http::HeaderMap;
use steady_socket_server::{Frame, Handshake, SocketMessage};
use tokio::sync::mpsc;

use super::echo;

struct Passed(Frame);

impl SocketMessage for Passed {
    type Error = Infallible;

    fn into_frame(self) -> Frame {
        self.0
    }

    fn from_frame(frame: Frame) -> Self {
        Self(frame)
    }

    fn close_code(_: &Infallible) -> Option<u16> {
        None
    }
}

struct Channels {
    read: mpsc::UnboundedReceiver<Frame>,
    written: mpsc::UnboundedSender<Frame>,
}

impl Stream for Channels {
    type Item = Result<Passed, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.read
            .poll_recv(cx)
            .map(|it| it.map(|frame| Ok(Passed(frame))))
    }
}

impl Sink<Passed> for Channels {
    type Error = Infallible;

    fn poll_ready(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn start_send(self: Pin<&mut Self>, frame: Passed) -> Result<(), Infallible> {
        let _ = self.written.send(frame.0);
        Ok(())
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn an_echo_takes_one_turn_of_its_task() {
    let admission = echo()
        .admit(&Handshake::new(&HeaderMap::new()))
        .await
        .unwrap();
    let (client, read) = mpsc::unbounded_channel();
    let (written, mut answers) = mpsc::unbounded_channel();
    let mut serving = pin!(admission.serve(Channels { read, written }));
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    let cx = &mut Context::from_waker(&waker);
    assert!(serving.as_mut().poll(cx).is_pending());
    for number in 1..=3 {
        woken.0.store(0, Ordering::Relaxed);
        client.send(Frame::Text(number.to_string())).unwrap();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "by what has come");
        assert!(serving.as_mut().poll(cx).is_pending());
        assert_eq!(answers.try_recv(), Ok(Frame::Text(number.to_string())));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "by nothing else");
    }
}
