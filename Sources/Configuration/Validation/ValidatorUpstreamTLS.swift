// The meaning of `tls` and `tls_ca` in `upstream`: whose word is taken for the servers' certificates, for
// what name, and what the gateway shows itself.

extension Validator {
    func readTLS(of block: CheckedBlock, into upstream: inout UpstreamConfiguration) {
        let opening = block.entry("tls")
        let short = block.entry("tls_ca")
        let inside = self.block(opening, .upstreamTLS)
        let ca = inside.entry("ca")
        if let short, let ca {
            report.error(
                "'tls_ca' is the same as the 'ca' of 'tls'", at: short.location,
                help: "keep one of them; 'ca' is given at \(report.place(ca.location))")
        }
        upstream.tls.authorities = file(ca ?? short)
        upstream.tls.clientCertificate = certificates(of: inside, neededIn: nil).first
        if let version = minimumVersion(of: inside) { upstream.tls.minimumVersion = version }
        readServerName(inside.entry("server_name"), into: &upstream)
        let insecure = inside.entry("insecure")
        upstream.tls.verifiesServers = insecure == nil

        let areKnown = upstream.servers.count == block.attempts.count { $0.name == "server" }
        let usesTLS = upstream.servers.contains(where: \.usesTLS)
        if usesTLS, let insecure {
            let unused = (ca ?? short).map { "'\($0.name)' at \(report.place($0.location))" }
            report.warning(
                "any certificate will do: whoever stands between can pose as these servers, and reads and"
                    + " changes every request and answer, logins too", at: insecure.location,
                help: unused.map { "take it out, or \($0) is not used" }
                    ?? "name whose word is to be taken instead: ca FILE;")
        } else if !usesTLS, areKnown, !upstream.servers.isEmpty, let unused = opening ?? short {
            report.warning(
                "no server of this upstream is https://: '\(unused.name)' has no effect", at: unused.location,
                help: "such as: server https://api.internal:9443;")
        }
    }

    private func readServerName(_ entry: Entry?, into upstream: inout UpstreamConfiguration) {
        guard let entry, let name = value(of: entry, decode: Self.serverName) else { return }
        for index in upstream.servers.indices where upstream.servers[index].usesTLS {
            upstream.servers[index].certificateName = name
        }
    }
}
