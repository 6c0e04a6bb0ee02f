// Certificates for tests, made once per run by the `openssl` command in a directory of their own: good ones,
// and one for each way in which a certificate can be bad.

import Foundation

/// A certificate with its key, as PEM texts and as files.
package struct ForgedCertificate: Sendable {
    package let pem: [UInt8]
    package let key: [UInt8]
    package let certificateFile: String
    package let keyFile: String
}

/// Who may make certificates, and what has been made.
package final class CertificateForge: Sendable {
    /// What the key of a certificate is.
    package enum KeyKind: Sendable { case ec, rsa(bits: Int) }

    /// A failed command.
    package struct Failure: Error { package let output: String }

    private let directory: URL

    /// A forge with a directory of its own.
    package init() throws {
        directory = FileManager.default.temporaryDirectory
            .appendingPathComponent("gateway-certificates-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
    }

    /// Removes everything.
    deinit { try? FileManager.default.removeItem(at: directory) }

    /// Makes a certificate.
    ///
    /// - Parameters:
    ///   - subject: as the command takes it: `/CN=name`.
    ///   - extensions: lines of an extension section.
    ///   - issuer: who signs; nil: it signs itself.
    ///   - from: `YYYYMMDD`, as `to`.
    package func issue(
        _ subject: String, extensions: [String], key: KeyKind = .ec, issuer: ForgedCertificate? = nil,
        from: String = "20200101", to: String = "20491231", digest: String = "sha256"
    ) throws -> ForgedCertificate {
        let name = UUID().uuidString
        func path(_ suffix: String) -> String { directory.appendingPathComponent(name + suffix).path }
        let configuration = """
            [ca]
            default_ca = forge
            [forge]
            database = \(path(".index"))
            new_certs_dir = \(directory.path)
            policy = anything
            rand_serial = yes
            unique_subject = no
            [anything]
            commonName = optional
            organizationName = optional
            [req]
            distinguished_name = none
            [none]
            [extensions]
            \(extensions.joined(separator: "\n"))
            """
        try configuration.write(toFile: path(".conf"), atomically: true, encoding: .utf8)
        try "".write(toFile: path(".index"), atomically: true, encoding: .utf8)
        let keyArguments =
            switch key {
            case .ec: ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
            case .rsa(let bits): ["-newkey", "rsa:\(bits)"]
            }
        try Self.run(
            ["req", "-new", "-nodes", "-utf8", "-config", path(".conf"), "-subj", subject]
                + keyArguments + ["-keyout", path(".key"), "-out", path(".csr")])
        let signer =
            if let issuer {
                ["-cert", issuer.certificateFile, "-keyfile", issuer.keyFile]
            } else {
                ["-selfsign", "-keyfile", path(".key")]
            }
        try Self.run(
            ["ca", "-batch", "-notext", "-config", path(".conf"), "-in", path(".csr"), "-out", path(".pem")]
                + ["-extensions", "extensions", "-md", digest, "-preserveDN"]
                + ["-startdate", from + "000000Z", "-enddate", to + "000000Z"] + signer)
        return try ForgedCertificate(
            pem: [UInt8](Data(contentsOf: URL(fileURLWithPath: path(".pem")))),
            key: [UInt8](Data(contentsOf: URL(fileURLWithPath: path(".key")))),
            certificateFile: path(".pem"), keyFile: path(".key"))
    }

    /// A key encrypted under a passphrase.
    package func encrypted(_ certificate: ForgedCertificate) throws -> [UInt8] {
        let file = directory.appendingPathComponent(UUID().uuidString).path
        try Self.run([
            "pkcs8", "-topk8", "-in", certificate.keyFile, "-out", file, "-passout", "pass:secret",
        ])
        return try [UInt8](Data(contentsOf: URL(fileURLWithPath: file)))
    }

    /// Runs the command with these arguments and input, and gives what it says.
    @discardableResult
    package static func run(_ arguments: [String], input: String = "") throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = ["openssl"] + arguments
        let (output, source) = (Pipe(), Pipe())
        process.standardOutput = output
        process.standardError = output
        process.standardInput = source
        try process.run()
        try source.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try source.fileHandleForWriting.close()
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if process.terminationStatus != 0 { throw Failure(output: text) }
        return text
    }
}

/// The certificates that the tests of TLS share.
package struct TestCertificates: Sendable {
    package let root: ForgedCertificate
    package let intermediate: ForgedCertificate
    /// For `one.test`, elliptic and RSA.
    package let one: ForgedCertificate
    package let oneRSA: ForgedCertificate
    /// For `*.wild.test`.
    package let wild: ForgedCertificate
    /// For `two.test` and 127.0.0.1, by the intermediate authority.
    package let two: ForgedCertificate
    package let expired: ForgedCertificate
    package let selfSigned: ForgedCertificate
    /// Its only name is `one.test`, a NUL and `.evil.test`.
    package let withNUL: ForgedCertificate
    package let client: ForgedCertificate
    package let expiredClient: ForgedCertificate
    /// Of an authority that nobody has heard of.
    package let strangerRoot: ForgedCertificate
    package let strangerClient: ForgedCertificate

    /// Lives as long as the process: so do its files.
    package let forge: CertificateForge

    /// Made when first asked for; a machine without the command fails here, with its words.
    package static let shared = Result { try TestCertificates() }

    private init() throws {
        let forge = try CertificateForge()
        let authority = ["basicConstraints = critical, CA:TRUE", "keyUsage = keyCertSign, cRLSign"]
        func server(_ names: String) -> [String] {
            ["subjectAltName = \(names)", "extendedKeyUsage = serverAuth"]
        }
        let forClients = ["extendedKeyUsage = clientAuth"]
        self.forge = forge
        root = try forge.issue("/CN=Root", extensions: authority)
        intermediate = try forge.issue("/CN=Intermediate", extensions: authority, issuer: root)
        one = try forge.issue("/CN=one", extensions: server("DNS:one.test"), issuer: root)
        oneRSA = try forge.issue(
            "/CN=one by RSA", extensions: server("DNS:one.test"), key: .rsa(bits: 2048), issuer: root)
        wild = try forge.issue("/CN=wild", extensions: server("DNS:*.wild.test"), issuer: root)
        two = try forge.issue(
            "/CN=two", extensions: server("DNS:two.test, IP:127.0.0.1"), issuer: intermediate)
        expired = try forge.issue(
            "/CN=expired", extensions: server("DNS:one.test"), issuer: root, from: "20200101", to: "20210101")
        selfSigned = try forge.issue("/CN=self", extensions: server("DNS:one.test"))
        // SEQUENCE { [2] "one.test" 00 ".evil.test" }
        let name = Array("one.test".utf8) + [0] + Array(".evil.test".utf8)
        let der = [0x30, UInt8(name.count + 2), 0x82, UInt8(name.count)] + name
        let hexadecimal = der.map { String(format: "%02x", $0) }.joined(separator: ":")
        withNUL = try forge.issue(
            "/CN=one.test", extensions: ["subjectAltName = DER:\(hexadecimal)"], issuer: root)
        client = try forge.issue("/O=Example, Inc./CN=Alice", extensions: forClients, issuer: root)
        expiredClient = try forge.issue(
            "/CN=Old", extensions: forClients, issuer: root, from: "20200101", to: "20210101")
        strangerRoot = try forge.issue("/CN=Stranger", extensions: authority)
        strangerClient = try forge.issue("/CN=Mallory", extensions: forClients, issuer: strangerRoot)
    }
}
