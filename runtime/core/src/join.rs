//! Waits for several futures at once.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Polls all futures together and returns their results in order. `done` is called with the number of finished ones
/// whenever it grows. For small numbers of futures only: each wake-up polls all of them.
pub(crate) async fn join_all<F: Future>(
    futures: impl Iterator<Item = F>,
    done: &mut dyn FnMut(usize),
) -> Vec<F::Output> {
    let mut running: Vec<Pin<Box<F>>> = futures.map(|f| Box::pin(f)).collect();
    let mut results: Vec<Option<F::Output>> = running.iter().map(|_| None).collect();
    let mut finished = 0;
    poll_fn(|context| {
        let before = finished;
        for (future, result) in running.iter_mut().zip(&mut results).filter(|(_, r)| r.is_none()) {
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
    results.into_iter().flatten().collect()
}

#[cfg(all(test, feature = "native"))]
mod tests {
    use super::*;

    #[test]
    fn results_keep_their_order() {
        // The n-th future is ready at its n-th poll, counted from the end.
        let tasks = (0..4u32).map(|n| {
            let mut left = 4 - n;
            poll_fn(move |context| {
                left -= 1;
                context.waker().wake_by_ref();
                if left == 0 { Poll::Ready(n) } else { Poll::Pending }
            })
        });
        let mut seen = Vec::new();
        let results = pollster::block_on(join_all(tasks, &mut |finished| seen.push(finished)));
        assert_eq!((results, seen), (vec![0, 1, 2, 3], vec![1, 2, 3, 4]));
        let none = pollster::block_on(join_all(std::iter::empty::<std::future::Ready<()>>(), &mut |_| {}));
        assert_eq!(none.len(), 0);
    }
}
