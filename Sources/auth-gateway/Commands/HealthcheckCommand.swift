// `auth-gateway healthcheck`: whether the gateway of a configuration serves, for containers that have no
// curl.

import Configuration
import Primitives

/// Asks the running gateway how it is.
enum HealthcheckCommand {
    static let help = """
        usage: auth-gateway healthcheck [-c FILE] [--live]

        Asks the control listener of the gateway that this configuration describes whether it is ready for
        clients.

          -c FILE   the configuration
          --live    ask only whether it answers at all

        Exit codes: 0 yes, 1 no, 2 usage, 78 bad configuration.
        """

    static func run(configuration path: String, isLive: Bool) -> ExitCode {
        guard let configuration = CheckCommand.configuration(at: path) else { return .configuration }
        guard let control = ControlClient(configuration) else {
            Console.error("auth-gateway: the configuration has no control listener to ask: see 'control'")
            return .failure
        }
        do throws(ControlClient.Problem) {
            guard let answer = try control.ask("GET", isLive ? "/healthz" : "/readyz") else {
                Console.error("auth-gateway: nobody answers at \(control.address)")
                return .failure
            }
            let text = String(decoding: answer.body, as: UTF8.self)
            if answer.status == 200 {
                Console.print(text)
                return .success
            }
            Console.error("auth-gateway: \(answer.status): \(text)")
            return .failure
        } catch {
            Console.error("auth-gateway: \(error.reason)")
            return .failure
        }
    }
}
