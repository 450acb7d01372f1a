//! Whom the client trusts, and as whom it comes.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::credentials::{AccessError, Client, Pem, Trust};

/// Settings for connections, with what the files hold now.
pub(super) fn settings(trust: &Trust, client: Option<&Client>) -> Result<Arc<ClientConfig>, AccessError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| AccessError::unfit("TLS", error))?;
    let builder = match trust {
        Trust::System => builder.with_root_certificates(of_the_system()?),
        Trust::Authorities(pem) => builder.with_root_certificates(authorities(pem)?),
        Trust::Anyone => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))),
    };
    let settings = match client {
        None => builder.with_no_client_auth(),
        Some(Client { certificate, key }) => {
            let secret = PrivateKeyDer::from_pem_slice(&key.text)
                .map_err(|error| AccessError::unfit(&key.of, error))?;
            let chain = certificates(certificate)?;
            builder
                .with_client_auth_cert(chain, secret)
                .map_err(|error| AccessError::unfit(&certificate.of, error))?
        }
    };
    Ok(Arc::new(settings))
}

fn certificates(pem: &Pem) -> Result<Vec<CertificateDer<'static>>, AccessError> {
    let unfit = |why: String| AccessError::unfit(&pem.of, why);
    let all: Vec<_> = CertificateDer::pem_slice_iter(&pem.text)
        .collect::<Result<_, _>>()
        .map_err(|error| unfit(error.to_string()))?;
    if all.is_empty() { Err(unfit("there is no certificate in it".to_owned())) } else { Ok(all) }
}

fn authorities(pem: &Pem) -> Result<RootCertStore, AccessError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem)? {
        roots.add(certificate).map_err(|error| AccessError::unfit(&pem.of, error))?;
    }
    Ok(roots)
}

fn of_the_system() -> Result<RootCertStore, AccessError> {
    let mut roots = RootCertStore::empty();
    // One that can't be used is no reason to trust none of the others.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(AccessError::unfit(
            "this system's certificates",
            "there are none (package ca-certificates)",
        ));
    }
    Ok(roots)
}

/// Takes any certificate, as `insecure-skip-tls-verify` asks, if only its owner has signed the handshake.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _above: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _revocation: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
