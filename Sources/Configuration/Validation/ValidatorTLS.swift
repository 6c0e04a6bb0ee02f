// The meaning of `tls` in the main block: certificates with their keys, names, versions and HSTS; and what
// the `tls` of an upstream shares with it.
//
// No file is opened here: whether a certificate is one, and its key fits, is seen by whoever loads it.

import Primitives

extension Validator {
    func tls(of main: CheckedBlock, listeners: [Listen]) -> TLSConfiguration? {
        let listen = listeners.first { $0.security == .tls }
        guard let opening = main.entry("tls") else {
            if let listen, !main.attempted("tls"), !report.isIncomplete {
                report.error(
                    "this listener has no certificate: there is no 'tls' block", at: listen.location,
                    help: "add: tls { certificate fullchain.pem; private_key privkey.pem; }")
            }
            return nil
        }
        if listen == nil, areKnown(listeners, of: main) {
            report.warning(
                "no listener has 'tls': these certificates are not used", at: opening.location,
                help: "add: listen 0.0.0.0:443 tls;")
        }
        let block = block(opening, .tls)
        var tls = TLSConfiguration(certificates: certificates(of: block, neededIn: opening))
        tls.serverNames = serverNames(of: block)
        if let version = minimumVersion(of: block) { tls.minimumVersion = version }
        tls.clientAuthorities = clientAuthorities(block.entry("client_ca"))
        tls.hasTickets = checkChoice(block.entry("tickets")) != "off"
        if let entry = block.entry("hsts") { tls.hsts = hsts(entry) }
        readDuration("handshake_timeout", of: block, into: &tls.handshakeTimeoutMilliseconds)
        return tls
    }

    private func clientAuthorities(_ entry: Entry?) -> TLSConfiguration.ClientAuthorities? {
        guard let entry else { return nil }
        let word = value(of: entry, 1) { text throws(ValueProblem) in
            try ValueDecoding.choice(text, of: ["optional", "required"])
        }
        return file(entry).map {
            TLSConfiguration.ClientAuthorities(file: $0, areRequired: word != "optional")
        }
    }

    func minimumVersion(of block: CheckedBlock) -> TLSConfiguration.Version? {
        checkChoice(block.entry("minimum_version")).flatMap(TLSConfiguration.Version.init(rawValue:))
    }
}

// MARK: - Certificates and names

extension Validator {
    /// The n-th certificate with the n-th key. `opening` is given where there has to be one.
    func certificates(of block: CheckedBlock, neededIn opening: Entry?) -> [CertificateConfiguration] {
        let certificates = block.entries("certificate")
        let keys = block.entries("private_key")
        let attempts = block.attempts.count { $0.name == "certificate" || $0.name == "private_key" }
        if attempts == 0, let opening, !report.isIncomplete {
            report.error(
                "'\(opening.name)' has no 'certificate'", at: opening.location,
                help: "add: certificate fullchain.pem; private_key privkey.pem;")
        }
        // Where one of them is faulty, or a file could not be read, none is known to be alone.
        if attempts == certificates.count + keys.count, !report.isIncomplete {
            let help = "the n-th 'private_key' goes with the n-th 'certificate'; both may name one file"
            for alone in certificates.dropFirst(keys.count) {
                report.error("this certificate has no 'private_key'", at: alone.location, help: help)
            }
            for alone in keys.dropFirst(certificates.count) {
                report.error("this key has no 'certificate'", at: alone.location, help: help)
            }
        }
        return zip(certificates, keys).compactMap { certificate, key in
            let chain = file(certificate)
            guard let privateKey = file(key), let chain else { return nil }
            return CertificateConfiguration(chain: chain, privateKey: privateKey)
        }
    }

    private func serverNames(of block: CheckedBlock) -> [ServerNameConfiguration] {
        var serverNames: [ServerNameConfiguration] = []
        var firsts: [String: SourceLocation] = [:]
        for entry in block.entries("server_name") {
            var names: [String] = []
            for (index, argument) in entry.arguments.enumerated() {
                guard let name = value(of: entry, index, decode: Self.namePattern) else { continue }
                if let first = firsts[name] {
                    report.error(
                        "this name has certificates already", at: argument.location,
                        help: "it was first given at \(report.place(first))")
                    continue
                }
                firsts[name] = argument.location
                names.append(name)
            }
            let certificates = certificates(of: self.block(entry, .serverName), neededIn: entry)
            serverNames.append(ServerNameConfiguration(names: names, certificates: certificates))
        }
        return serverNames
    }

    /// RFC 9525 §6.3: a wildcard is the whole of the first label, and stands for one.
    private static func namePattern(_ text: String) throws(ValueProblem) -> String {
        if text == "*" {
            throw ValueProblem(
                reason: "is every name", help: "for these, 'tls' itself has 'certificate' and 'private_key'")
        }
        let isWildcard = text.hasPrefix("*.")
        return (isWildcard ? "*." : "") + (try serverName(String(text.dropFirst(isWildcard ? 2 : 0))))
    }

    /// A host name in lower case.
    static func serverName(_ text: String) throws(ValueProblem) -> String {
        // RFC 6066 §3: "Literal IPv4 and IPv6 addresses are not permitted in "HostName"."
        if IPLiteral.bytes(of: text.filter { $0 != "[" && $0 != "]" }) != nil {
            throw ValueProblem(
                reason: "is an address, and TLS asks for host names alone", help: "such as a.example.com")
        }
        guard AddressDecoding.isHostName(text) else {
            let isASCII = text.utf8.allSatisfy { $0 < 0x80 }
            throw ValueProblem(
                reason: "is not a host name",
                help: isASCII ? "such as a.example.com" : "write it as TLS carries it: xn--…")
        }
        return text.lowercased()
    }
}

// MARK: - HSTS

extension Validator {
    private static let preloadSecondsMin: Int64 = 365 * 86_400

    private func hsts(_ entry: Entry) -> HSTSConfiguration? {
        if entry.arguments[0].text == "off" {
            for argument in entry.arguments.dropFirst() {
                reportProblem(
                    ValueProblem(reason: "does not go with 'off'", help: "hsts off;"), with: argument)
            }
            return nil
        }
        var hsts = HSTSConfiguration()
        let seconds = value(of: entry) { text throws(ValueProblem) in
            // RFC 6797 §6.1.1: max-age is a number of seconds; half of one would be none.
            let age = try ValueDecoding.duration(text, in: DirectiveTable.hstsAge)
            if age.isMultiple(of: 1_000) { return age / 1_000 }
            throw ValueProblem(reason: "is not a number of whole seconds", help: "such as 365d")
        }
        if let seconds { hsts.maxAgeSeconds = seconds }
        var words: Set<String> = []
        for (index, argument) in entry.arguments.enumerated().dropFirst() {
            let word = value(of: entry, index) { text throws(ValueProblem) in
                try ValueDecoding.choice(text, of: ["include_subdomains", "preload"])
            }
            if let word, !words.insert(word).inserted {
                reportProblem(
                    ValueProblem(reason: "is given twice", help: "keep one of them"), with: argument)
            }
        }
        hsts.includesSubdomains = words.contains("include_subdomains")
        hsts.isPreloaded = words.contains("preload")
        let isWhole = seconds != nil && words.count == entry.arguments.count - 1
        let isListed = hsts.includesSubdomains && hsts.maxAgeSeconds >= Self.preloadSecondsMin
        if hsts.isPreloaded, isWhole, !isListed {
            report.warning(
                "no browser's list takes this: 'preload' needs 'include_subdomains' and a year",
                at: entry.location, help: "hsts 365d include_subdomains preload; or leave 'preload' out")
        }
        return hsts
    }
}
