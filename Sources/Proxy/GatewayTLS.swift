// From the files that the configuration names to TLS of listeners and upstreams. What is wrong with a file is
// said with the place that names it; nothing of a key is in any message.

package import Configuration
import Network
package import Primitives
package import TLS

/// Something that there is to say about a certificate or a key.
package struct TLSRemark: Sendable, Equatable {
    package let isError: Bool
    /// `gateway.conf:12: /etc/ssl/fullchain.pem: …`
    package let text: String
}

/// The TLS of a configuration.
package enum GatewayTLS {
    /// The TLS of the listeners; nil where none has it.
    ///
    /// - Parameter ticketKeys: newest first.
    package static func server(
        _ configuration: GatewayConfiguration, ticketKeys: [TicketKey]
    ) throws(RuntimeError) -> ServerTLS? {
        guard let tls = configuration.tls, configuration.listeners.contains(where: { $0.security == .tls })
        else { return nil }
        var clients = ClientCertificates.none
        if let authorities = tls.clientAuthorities {
            let pem = try read(authorities.file)
            clients = authorities.areRequired ? .required(authorities: pem) : .optional(authorities: pem)
        }
        var sites: [TLSSite] = []
        let blocks = [ServerNameConfiguration(names: [], certificates: tls.certificates)] + tls.serverNames
        for block in blocks {
            var certificates: [CertificateMaterial] = []
            for pair in block.certificates { certificates.append(try material(pair)) }
            sites.append(
                TLSSite(names: block.names, certificates: certificates, clientCertificates: clients))
        }
        do throws(TLSSettingsError) {
            return try ServerTLS(
                sites: sites, minimumVersion: tls.minimumVersion == .v1_3 ? .v1_3 : .v1_2,
                ticketKeys: tls.hasTickets ? ticketKeys : [])
        } catch {
            throw RuntimeError(reason: "tls: \(error.sentence)")
        }
    }

    /// How a server of an upstream is spoken to.
    ///
    /// - Parameter host: the name or address that its certificate must be for.
    static func client(
        _ tls: UpstreamTLSConfiguration, host: String, upstream: String
    ) throws(RuntimeError) -> ClientTLS {
        var trust = tls.verifiesServers ? UpstreamTrust.system : .insecure
        if let authorities = tls.authorities, tls.verifiesServers {
            trust = .authorities(try read(authorities))
        }
        var certificate: CertificateMaterial?
        if let pair = tls.clientCertificate { certificate = try material(pair) }
        do throws(TLSSettingsError) {
            return try ClientTLS(
                host: host, trust: trust, certificate: certificate,
                minimumVersion: tls.minimumVersion == .v1_3 ? .v1_3 : .v1_2)
        } catch {
            throw RuntimeError(reason: "upstream \(upstream): \(error.sentence)")
        }
    }

    /// How a server that is asked for keys is spoken to.
    ///
    /// - Parameter authorities: whose word is taken for its certificate; nil is the system's.
    static func client(host: String, authorities: FileReference?) throws(RuntimeError) -> ClientTLS {
        var trust = UpstreamTrust.system
        if let authorities { trust = .authorities(try read(authorities)) }
        do throws(TLSSettingsError) {
            return try ClientTLS(host: host, trust: trust)
        } catch {
            throw RuntimeError(reason: error.sentence)
        }
    }

    /// The bytes of every file of the listeners: when they differ, there is something new to be shown.
    package static func files(of configuration: GatewayConfiguration) -> [[UInt8]?] {
        guard let tls = configuration.tls else { return [] }
        let pairs = tls.certificates + tls.serverNames.flatMap(\.certificates)
        var references = pairs.flatMap { [$0.chain, $0.privateKey] }
        if let authorities = tls.clientAuthorities { references.append(authorities.file) }
        return references.map { try? Files.read($0.path) }
    }

    /// Looks at every certificate of the configuration.
    package static func remarks(on configuration: GatewayConfiguration, at now: WallTime) -> [TLSRemark] {
        var remarks: [TLSRemark] = []
        if let tls = configuration.tls {
            let blocks =
                [ServerNameConfiguration(names: [], certificates: tls.certificates)] + tls.serverNames
            for block in blocks {
                for pair in block.certificates { remarks += Self.remarks(on: pair, block.names, now) }
            }
        }
        for upstream in configuration.upstreams {
            if let pair = upstream.tls.clientCertificate { remarks += Self.remarks(on: pair, [], now) }
        }
        do throws(RuntimeError) {
            if remarks.allSatisfy({ !$0.isError }) {
                _ = try server(configuration, ticketKeys: [])
                for upstream in configuration.upstreams { _ = try UpstreamTarget(upstream, index: 0) }
            }
        } catch {
            remarks.append(TLSRemark(isError: true, text: error.reason))
        }
        return remarks
    }

    /// The certificates of the listeners that can be read, as they are on disk.
    package static func certificates(
        of configuration: GatewayConfiguration, at now: WallTime
    ) -> [GatewayStatus.Certificate] {
        guard let tls = configuration.tls else { return [] }
        let pairs = tls.certificates + tls.serverNames.flatMap(\.certificates)
        return pairs.compactMap { pair in
            guard let report = try? material(pair).report(at: now), let expiry = report.expiry else {
                return nil
            }
            return GatewayStatus.Certificate(names: report.names, file: pair.chain.path, notAfter: expiry)
        }
    }

    private static func remarks(
        on pair: CertificateConfiguration, _ names: [String], _ now: WallTime
    ) -> [TLSRemark] {
        let origin = "\(pair.chain.place): \(pair.chain.path)"
        do throws(RuntimeError) {
            let report = try material(pair).report(at: now)
            var remarks = report.findings.map {
                TLSRemark(isError: $0.severity == .error, text: "\(origin): \($0.sentence)")
            }
            for name in names where !report.hasErrors && !report.covers(name) {
                let text = "\(origin): the certificate is not for '\(name)', but for \(list(report.names))"
                remarks.append(TLSRemark(isError: false, text: text))
            }
            return remarks
        } catch {
            return [TLSRemark(isError: true, text: error.reason)]
        }
    }

    private static func list(_ names: [String]) -> String {
        names.isEmpty ? "no name at all" : names.prefix(8).map { "'\($0)'" }.joined(separator: ", ")
    }

    private static func material(
        _ pair: CertificateConfiguration
    ) throws(RuntimeError) -> CertificateMaterial {
        CertificateMaterial(chain: try read(pair.chain), key: try read(pair.privateKey))
    }

    private static func read(_ file: FileReference) throws(RuntimeError) -> [UInt8] {
        do throws(SystemError) {
            return try Files.read(file.path)
        } catch {
            throw RuntimeError(reason: "\(file.place): \(file.path) cannot be read: \(error.reason)")
        }
    }
}
