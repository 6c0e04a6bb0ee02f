// What is wrong with a certificate and its key, in plain words: for `check`, and for whoever has put the
// wrong file in place. Time is passed in. No sentence holds key material.

internal import COpenSSL
package import Primitives

/// One thing that is wrong, or soon will be.
package struct CertificateFinding: Sendable, Equatable {
    /// Whether the material can serve all the same.
    package enum Severity: Sendable { case warning, error }

    package let severity: Severity
    /// A sentence without a full stop.
    package let sentence: String
}

/// What `check` is told of a certificate.
package struct CertificateReport: Sendable, Equatable {
    package fileprivate(set) var findings: [CertificateFinding] = []
    /// The names and addresses that the certificate covers; patterns as they stand.
    package fileprivate(set) var names: [String] = []
    /// When it ends; nil when there is none.
    package fileprivate(set) var expiry: WallTime?

    /// Whether it cannot be used.
    package var hasErrors: Bool { findings.contains { $0.severity == .error } }

    /// Whether a client that asks for `name` would accept the certificate.
    package func covers(_ name: String) -> Bool {
        guard let name = HostName(Array(name.utf8)) else { return names.contains(name) }
        return names.contains { HostName(pattern: Array($0.utf8))?.covers(name) == true }
    }

    fileprivate mutating func error(_ sentence: String) {
        findings.append(CertificateFinding(severity: .error, sentence: sentence))
    }

    fileprivate mutating func warn(_ sentence: String) {
        findings.append(CertificateFinding(severity: .warning, sentence: sentence))
    }
}

extension CertificateMaterial {
    /// Looks at everything.
    ///
    /// - Parameter warningDays: a certificate that ends within so many days is worth a warning.
    package func report(at now: WallTime, warningDays: Int64 = 14) -> CertificateReport {
        var report = CertificateReport()
        let chain = readChain(&report)
        let key = readKey(&report)
        guard let leaf = chain.first else { return report }
        report.names = leaf.names
        report.expiry = leaf.notAfter
        if let key { Self.checkFit(key, chain, &report) }
        Self.checkOrder(chain, &report)
        for (index, certificate) in chain.enumerated() {
            let name = "the certificate of '\(certificate.subjectForSentences)'"
            Self.checkTime(certificate, name, now, warningDays, &report)
            Self.checkStrength(certificate, name, isLeaf: index == 0, &report)
        }
        if !leaf.isForServers { report.error("the certificate is not for servers (extended key usage)") }
        if leaf.names.isEmpty { report.error("the certificate covers no name: it has no subjectAltName") }
        return report
    }

    /// The pair as it is used: all that makes it impossible to use is refused. One that is merely over is
    /// not: a gateway that starts with it is found out by its clients, one that does not start by all.
    func pair() throws(TLSSettingsError) -> CertificatePair {
        var report = CertificateReport()
        let chain = readChain(&report)
        let key = readKey(&report)
        if let key, !chain.isEmpty {
            Self.checkFit(key, chain, &report)
            Self.checkOrder(chain, &report)
        }
        if let problem = report.findings.first(where: { $0.severity == .error }) {
            throw .init(problem.sentence)
        }
        guard let leaf = chain.first, let key else { throw .init("there is no certificate") }
        return CertificatePair(leaf: leaf, issuers: Array(chain.dropFirst()), key: key)
    }

    // MARK: - One question each

    private func readChain(_ report: inout CertificateReport) -> [Certificate] {
        guard let certificates = Certificate.read(pem: chain) else {
            report.error("a certificate of the chain is damaged: its PEM block cannot be read")
            return []
        }
        if certificates.isEmpty { report.error(Self.absence(in: chain, of: "certificate")) }
        if certificates.count > TLSLimits.chainDepthMax + 1 {
            report.error("the chain has \(certificates.count) certificates: that is no chain")
        }
        return certificates
    }

    private func readKey(_ report: inout CertificateReport) -> CertificateKey? {
        do throws(CertificateKey.Problem) {
            return try CertificateKey(pem: key)
        } catch .encrypted {
            report.error("the private key is encrypted, and nobody is there to give its passphrase")
        } catch {
            report.error(Self.absence(in: key, of: "private key"))
        }
        return nil
    }

    private static func absence(in text: [UInt8], of thing: String) -> String {
        let text = String(decoding: text.prefix(sampleBytes), as: UTF8.self)
        guard text.contains("-----BEGIN ") else { return "the \(thing) is not PEM: no line begins a block" }
        return "there is no \(thing) in the file, though it is PEM"
    }

    private static func checkFit(
        _ key: CertificateKey, _ chain: [Certificate], _ report: inout CertificateReport
    ) {
        guard let leaf = chain.first, !key.fits(leaf) else { return }
        if let index = chain.firstIndex(where: key.fits) {
            report.error(
                "the key is that of certificate \(index + 1) of the file"
                    + " ('\(chain[index].subjectForSentences)'), which must stand first")
        } else {
            report.error("the key does not fit the certificate of '\(leaf.subjectForSentences)'")
        }
    }

    private static func checkOrder(_ chain: [Certificate], _ report: inout CertificateReport) {
        for (index, certificate) in chain.enumerated().dropLast()
        where !certificate.isSigned(by: chain[index + 1]) {
            let next = chain[index + 1]
            let (name, nextName) = (certificate.subjectForSentences, next.subjectForSentences)
            let hasIssuer = chain.contains { $0 !== certificate && certificate.isSigned(by: $0) }
            report.error(
                "certificate \(index + 2) of the file ('\(nextName)')"
                    + " has not signed the one before it ('\(name)')"
                    + (hasIssuer
                        ? ": the order is wrong" : ": one between them is missing, or it does not belong"))
            return
        }
        guard let last = chain.last, chain.count > 1 || !last.isSelfIssued else { return }
        if last.isSelfIssued {
            report.warn("the chain ends with its root, which clients have anyway")
        } else if chain.count == 1 {
            report.warn("the chain has no certificate of an issuer: clients that do not know it will refuse")
        }
    }

    private static func checkTime(
        _ certificate: Certificate, _ name: String, _ now: WallTime, _ warningDays: Int64,
        _ report: inout CertificateReport
    ) {
        let left = certificate.notAfter.seconds - now.seconds
        if left < 0 {
            report.error("\(name) has expired on \(certificate.notAfter.day)")
        } else if now < certificate.notBefore {
            report.error("\(name) is not valid before \(certificate.notBefore.day)")
        } else if left < warningDays * 86400 {
            report.warn("\(name) expires on \(certificate.notAfter.day)")
        }
    }

    private static func checkStrength(
        _ certificate: Certificate, _ name: String, isLeaf: Bool, _ report: inout CertificateReport
    ) {
        let (kind, bits) = certificate.keyKind
        switch kind {
        case "RSA", "RSA-PSS":
            if bits < 2048 { report.error("\(name) has an RSA key of \(bits) bits; 2048 is the least") }
        case "EC":
            if bits < 256 { report.error("\(name) has an elliptic key of \(bits) bits; 256 is the least") }
        case "ED25519", "ED448": break
        default: report.error("\(name) has a key of a kind that TLS does not use here")
        }
        // Nobody checks the signature of a root.
        if certificate.hasWeakSignature, isLeaf || !certificate.isSelfIssued {
            report.error("\(name) is signed with SHA-1 or less")
        }
    }
}

extension WallTime {
    /// The day as `2026-11-21`, for a sentence.
    fileprivate var day: String { String(CivilTime(self).rfc3339.prefix(10)) }
}

/// How much of a file is looked at to say what it is not.
private let sampleBytes = 1 << 20
