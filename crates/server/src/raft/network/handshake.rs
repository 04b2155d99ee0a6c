//! How two nodes convince each other that they belong together.
//!
//! ```text
//! caller                                  called
//! Hello {who I am, whom I want, nonce} ->
//!                                      <- Challenge {who I am, nonce}
//! Proof HMAC(secret, "caller", both)   ->
//!                                      <- Welcome HMAC(secret, "called", both)
//! ```
//!
//! The caller proves itself first, so that whoever merely connects learns nothing that depends on the secret. What both
//! said of themselves is in the proofs: nobody in between can change it. Afterwards frames are not authenticated one by
//! one; who can change packets needs TLS to be kept out.

use super::super::codec::{self, CodecError, Kind};
use super::wire::{self, Patience, WireError};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

/// Counts changes of what nodes say to each other.
pub(super) const PROTOCOL: u16 = 1;

/// Makes guessing the password from an overheard handshake slow.
const ROUNDS: u32 = 10_000;

/// What the nodes of a deployment have in common and others do not know.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// The secret that belongs to a password (PBKDF2 with HMAC-SHA-256). An empty password makes one that everybody knows.
    #[must_use]
    pub fn derive(password: &[u8]) -> Secret {
        Secret(pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password, b"redoubt raft", ROUNDS))
    }

    fn mac(&self, role: &str, hello: &[u8], challenge: &[u8]) -> Hmac<Sha256> {
        let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("a key may have any length");
        mac.update(role.as_bytes());
        // Both are envelopes, which tell their own length.
        mac.update(hello);
        mac.update(challenge);
        mac
    }
}

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Introduction {
    pub(super) protocol: u16,
    pub(super) cluster: Option<u128>,
    pub(super) node: u64,
    pub(super) incarnation: u64,
    /// Where it can be called, `host:port`.
    pub(super) address: String,
    pub(super) nonce: [u8; 32],
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Step {
    Hello { me: Introduction, target: Option<u64> },
    Challenge(Introduction),
    Proof([u8; 32]),
    Welcome([u8; 32]),
    Refused(Refusal),
}

/// Why a node is turned away, as told to it and logged on both sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, thiserror::Error)]
pub(super) enum Refusal {
    #[error("it speaks protocol {0}, this node speaks {PROTOCOL}")]
    Protocol(u16),
    #[error("the secrets differ (the nodes have different passwords)")]
    Secret,
    #[error("it belongs to another deployment")]
    Deployment,
    #[error("another node is there, {0:016x}")]
    AnotherNode(u64),
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum HandshakeError {
    #[error(transparent)]
    Wire(#[from] WireError),
    /// This node turns the other away.
    #[error("{0}")]
    Refusing(Refusal),
    /// The other turns this node away; the text is from its point of view.
    #[error("it refuses this node: {0}")]
    Refused(Refusal),
    #[error("it does not keep to the handshake")]
    Unexpected,
}

impl HandshakeError {
    /// Whether it is somebody else who is there, and not just nobody.
    pub(super) fn is_refusal(&self) -> bool {
        !matches!(self, HandshakeError::Wire(WireError::Io(_) | WireError::Closed | WireError::Silent(_)))
    }
}

impl From<CodecError> for HandshakeError {
    fn from(error: CodecError) -> HandshakeError {
        HandshakeError::Wire(error.into())
    }
}

/// This side of a handshake.
#[derive(Debug)]
pub(super) struct Party<'a> {
    pub(super) me: Introduction,
    pub(super) secret: &'a Secret,
    pub(super) patience: Patience,
}

/// Fresh bytes that nobody can foresee.
pub(super) fn nonce() -> std::io::Result<[u8; 32]> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(std::io::Error::other)?;
    Ok(nonce)
}

async fn send<S: AsyncWrite + Unpin>(stream: &mut S, step: &Step) -> Result<Vec<u8>, HandshakeError> {
    let bytes = codec::encode(Kind::Handshake, step)?;
    stream.write_all(&bytes).await.map_err(WireError::from)?;
    Ok(bytes)
}

impl Party<'_> {
    async fn next<S: AsyncRead + Unpin>(&self, stream: &mut S) -> Result<Step, HandshakeError> {
        match wire::read(stream, Kind::Handshake, self.patience).await? {
            Step::Refused(refusal) => Err(HandshakeError::Refused(refusal)),
            step => Ok(step),
        }
    }

    /// What makes this side turn the other away once it is known to have the secret.
    fn judge(&self, other: &Introduction) -> Option<Refusal> {
        let differ = |(mine, theirs): (u128, u128)| mine != theirs;
        self.me.cluster.zip(other.cluster).is_some_and(differ).then_some(Refusal::Deployment)
    }

    async fn refuse<S: AsyncWrite + Unpin>(&self, stream: &mut S, refusal: Refusal) -> HandshakeError {
        // The other may be gone; the refusal stands.
        let _ = send(stream, &Step::Refused(refusal)).await;
        let _ = stream.shutdown().await;
        HandshakeError::Refusing(refusal)
    }

    /// Calls: returns who answered.
    pub(super) async fn call<S>(
        &self,
        stream: &mut S,
        target: Option<u64>,
    ) -> Result<Introduction, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let hello = send(stream, &Step::Hello { me: self.me.clone(), target }).await?;
        let Step::Challenge(other) = self.next(stream).await? else { return Err(HandshakeError::Unexpected) };
        if other.protocol != PROTOCOL {
            return Err(HandshakeError::Refusing(Refusal::Protocol(other.protocol)));
        }
        let challenge = codec::encode(Kind::Handshake, &other)?;
        let proof = self.secret.mac("caller", &hello, &challenge).finalize().into_bytes();
        send(stream, &Step::Proof(proof.into())).await?;
        let Step::Welcome(proof) = self.next(stream).await? else { return Err(HandshakeError::Unexpected) };
        let expected = self.secret.mac("called", &hello, &challenge);
        if expected.verify_slice(&proof).is_err() {
            return Err(HandshakeError::Refusing(Refusal::Secret));
        }
        if let Some(refusal) = self.judge(&other) {
            return Err(HandshakeError::Refusing(refusal));
        }
        match target {
            Some(target) if target != other.node => {
                Err(HandshakeError::Refusing(Refusal::AnotherNode(other.node)))
            }
            _ => Ok(other),
        }
    }

    /// Answers: returns who called.
    pub(super) async fn answer<S>(&self, stream: &mut S) -> Result<Introduction, HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let step = self.next(stream).await?;
        let Step::Hello { me: other, target } = &step else { return Err(HandshakeError::Unexpected) };
        if other.protocol != PROTOCOL {
            return Err(self.refuse(stream, Refusal::Protocol(other.protocol)).await);
        }
        let hello = codec::encode(Kind::Handshake, &step)?;
        let challenge = codec::encode(Kind::Handshake, &self.me)?;
        send(stream, &Step::Challenge(self.me.clone())).await?;
        let Step::Proof(proof) = self.next(stream).await? else { return Err(HandshakeError::Unexpected) };
        if self.secret.mac("caller", &hello, &challenge).verify_slice(&proof).is_err() {
            return Err(self.refuse(stream, Refusal::Secret).await);
        }
        if let Some(refusal) = self.judge(other) {
            return Err(self.refuse(stream, refusal).await);
        }
        if target.is_some_and(|target| target != self.me.node) {
            return Err(self.refuse(stream, Refusal::AnotherNode(self.me.node)).await);
        }
        let proof = self.secret.mac("called", &hello, &challenge).finalize().into_bytes();
        send(stream, &Step::Welcome(proof.into())).await?;
        Ok(other.clone())
    }
}
