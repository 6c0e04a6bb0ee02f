// What a configuration says, before anyone asks whether it makes sense: statements with arguments and blocks.
//
// An argument keeps its place in the file beside its text, because its text may come from the environment while
// diagnostics only ever quote the file.

/// One directive as it was written.
package struct Statement {
    package var name: String
    package var nameLocation: SourceLocation
    package var arguments: [Argument]
    /// What stands between its braces; nil where it ended with `;`.
    package var body: [Statement]?
    /// Its end is missing, or an argument of it is: already reported, and not to be judged further.
    package var isBroken = false

    /// Where the statement's last word ends.
    package var end: SourceLocation { (arguments.last?.location ?? nameLocation).end }
}

/// One argument, its variables replaced.
package struct Argument {
    /// May be a secret: never part of a message.
    package var text: String
    package var location: SourceLocation
}
