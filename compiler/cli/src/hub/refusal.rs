//! Error messages for requests that failed, with a remedy.

use super::name::Name;
use super::server::{Reply, Server};
use super::trouble::Trouble;
use crate::failure::Failure;

/// The meaning of an unsuccessful response. `what` is the model, or one of its files.
pub(super) fn refusal(server: &Server, name: &Name<'_>, what: &str, reply: &Reply) -> Trouble {
    let endpoint = server.endpoint();
    let code = reply.header("x-error-code").unwrap_or_default();
    let revision = name.revision.unwrap_or(super::name::MAIN);
    let known = server.token_source();
    let wrong = |text: String| Trouble::Refused(Failure::wrong(text));
    let lacking = |text: String| Trouble::Refused(Failure::lacking(text));
    match (reply.status, code) {
        (401 | 403, "GatedRepo") => lacking(match known {
            None => format!(
                "{what}: access is gated; accept the licence at {endpoint}/{name}, and set HF_TOKEN to a token of your \
                 account ({endpoint}/settings/tokens)"
            ),
            Some(source) => format!(
                "{what}: access is gated; accept the licence at {endpoint}/{name} with the account of the token in \
                 {source}, or set HF_TOKEN to a token of an account that has access"
            ),
        }),
        (_, "RevisionNotFound") => wrong(format!(
            "{name}: {endpoint} has no revision {revision}; choose a branch, tag or commit of \
             {endpoint}/{name}/commits/main"
        )),
        (404, "EntryNotFound") => {
            wrong(format!("{what}: not found on {endpoint} at revision {revision}; choose another file"))
        }
        // The server does not reveal whether a private model exists.
        (_, "RepoNotFound") | (404, _) => wrong(format!(
            "{name}: no such file or directory, and {endpoint} shows no such model {}; check the name, or set HF_TOKEN \
             to a token of an account that may read it",
            known.map_or("without a token".into(), |source| format!("with the token in {source}"))
        )),
        (401 | 403, _) => lacking(match known {
            None => format!(
                "{what}: {endpoint} requires authentication; set HF_TOKEN to a token of your account \
                 ({endpoint}/settings/tokens), and accept the licence at {endpoint}/{name} if there is one"
            ),
            Some(source) => format!(
                "{what}: {endpoint} rejected the token in {source}; set HF_TOKEN to a valid token with access to the \
                 model, and accept the licence at {endpoint}/{name} if there is one"
            ),
        }),
        (status @ (408 | 429 | 500..), _) => {
            Trouble::Down(format!("{endpoint} failed with status {status} for {what}"))
        }
        (status, _) => Trouble::Failed(Failure::lacking(format!(
            "{what}: {endpoint} answered with status {status}; check that HF_ENDPOINT is a Hub"
        ))),
    }
}
