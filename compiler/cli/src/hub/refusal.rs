//! Why nothing came from the server, in sentences with a remedy.

use super::name::Name;
use super::server::{Reply, Server};
use super::trouble::Trouble;
use crate::failure::Failure;

/// What an answer means that is no success. `what` is the model, or a file of it.
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
                "{what}: its licence has to be accepted first; do that at {endpoint}/{name}, and set HF_TOKEN to a token of \
                 your account ({endpoint}/settings/tokens)"
            ),
            Some(source) => format!(
                "{what}: its licence has to be accepted first; do that at {endpoint}/{name} with the account of the token \
                 in {source}, or set HF_TOKEN to one of an account that has"
            ),
        }),
        (_, "RevisionNotFound") => wrong(format!(
            "{name}: {endpoint} has no revision {revision} of it; choose a branch, tag or commit of \
             {endpoint}/{name}/commits/main"
        )),
        (404, "EntryNotFound") => {
            wrong(format!("{what}: is not on {endpoint} at revision {revision}; choose another file"))
        }
        // Nobody is told of private models.
        (_, "RepoNotFound") | (404, _) => wrong(format!(
            "{name}: there is no such file or directory, and {endpoint} has no such model, or shows it to nobody {}; \
             check the name, or set HF_TOKEN to a token of an account that may read it",
            known.map_or("without a token".into(), |source| format!("with the token in {source}"))
        )),
        (401 | 403, _) => lacking(match known {
            None => format!(
                "{what}: {endpoint} wants to know who asks; set HF_TOKEN to a token of your account \
                 ({endpoint}/settings/tokens), and accept the licence at {endpoint}/{name} if there is one"
            ),
            Some(source) => format!(
                "{what}: {endpoint} does not accept the token in {source} for it; set HF_TOKEN to one that is valid and \
                 may read the model, and accept the licence at {endpoint}/{name} if there is one"
            ),
        }),
        (status @ (408 | 429 | 500..), _) => {
            Trouble::Down(format!("{endpoint} is out of order (status {status} for {what})"))
        }
        (status, _) => Trouble::Failed(Failure::lacking(format!(
            "{what}: {endpoint} answers with status {status}, which says nothing about it; check that HF_ENDPOINT is a Hub"
        ))),
    }
}
