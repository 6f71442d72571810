/** Whether an error's code is one of Node's own names for what X.509 verification finds (tls, "X509 certificate error codes"), or for another host's name. */
export function isCertificateError(code: string): boolean {
  const others = ['ERR_TLS_CERT_ALTNAME_INVALID', 'INVALID_CA', 'INVALID_PURPOSE', 'HOSTNAME_MISMATCH', 'PATH_LENGTH_EXCEEDED']
  return others.includes(code) || /^(CERT|CRL|SELF_SIGNED|DEPTH_ZERO|UNABLE_TO|ERROR_IN_(CERT|CRL))_/.test(code)
}
