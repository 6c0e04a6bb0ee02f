// The library behind this module, as reports of faults name it.

import COpenSSL

/// OpenSSL as the process has found it.
package enum CryptoLibrary {
    /// As in "OpenSSL 3.0.19 27 Jan 2026".
    package static var version: String { unsafe String(cString: OpenSSL_version(OPENSSL_VERSION)) }
}
