// New certificates are picked up as their files change, and the keys of session tickets take turns.

import Configuration
import Network
import Observability
import Primitives
import Proxy
import TLS

extension RunCommand {
    /// Looks at the files of certificates and foreign keys, and at the age of the keys of tickets.
    func watchCertificates() {
        every(seconds: Self.certificateCheckSeconds) { [self] in
            guard let configuration else { return }
            server?.readIssuerFilesAgain()
            let files = GatewayTLS.files(of: configuration)
            if files == certificateFiles { return }
            certificateFiles = files
            renewTLS(configuration, "certificates have been read anew")
        }
        every(seconds: TicketKeys.checkSeconds) { [self] in
            guard let configuration, configuration.tls?.hasTickets == true else { return }
            do throws(SystemError) {
                if try ticketKeys?.rotate(ifDueAt: Clock.wall) != true { return }
                renewTLS(configuration, "a new key of session tickets")
            } catch {
                logs?.service.error("tls: the new key of session tickets is not kept: \(error)")
            }
        }
    }

    /// The keys of tickets, newest first; made when they are first needed, and none where they never are.
    func keysOfTickets(_ configuration: GatewayConfiguration) throws(RuntimeError) -> [TicketKey] {
        if configuration.tls?.hasTickets != true { return [] }
        do throws(SystemError) {
            if let ticketKeys { return ticketKeys.keys }
            let made = try TicketKeys(
                directory: configuration.stateDirectory, now: Clock.wall)
            ticketKeys = made
            return made.keys
        } catch {
            throw RuntimeError(reason: "the keys of session tickets cannot be kept: \(error)")
        }
    }

    /// What cannot be used is said, and what was in force stays.
    private func renewTLS(_ configuration: GatewayConfiguration, _ reason: String) {
        do throws(RuntimeError) {
            server?.change(tls: try GatewayTLS.server(configuration, ticketKeys: ticketKeys?.keys ?? []))
            // What is shown is what is in force.
            services?.status.set(certificates: GatewayTLS.certificates(of: configuration, at: Clock.wall))
            logs?.service.info("tls: \(reason)")
        } catch {
            logs?.service.error("tls: the old certificates stay: \(error.reason)")
        }
    }

    private static let certificateCheckSeconds = 10
}
