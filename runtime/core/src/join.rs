//! Waits for several things at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Drives all futures together and gives their results in order. `done` is called with the number of those that are
/// finished, each time it grows. Small numbers of futures only: each wake polls all of them.
pub(crate) async fn join_all<F: Future>(
    futures: impl Iterator<Item = F>,
    done: &mut dyn FnMut(usize),
) -> Vec<F::Output> {
    let mut running: Vec<(Pin<Box<F>>, Option<F::Output>)> = futures.map(|f| (Box::pin(f), None)).collect();
    let mut finished = 0;
    poll_fn(|context| {
        let before = finished;
        for (future, result) in running.iter_mut().filter(|(_, r)| r.is_none()) {
            if let Poll::Ready(value) = future.as_mut().poll(context) {
                *result = Some(value);
                finished += 1;
            }
        }
        if finished > before {
            done(finished);
        }
        if finished == running.len() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    running.into_iter().filter_map(|(_, result)| result).collect()
}
