/// The code points of a text, as a model reads them, and their places in the text.
///
/// Models count code points, and `NSString` and `NSRange` count UTF-16 units: a character outside the Basic
/// Multilingual Plane, such as an emoji, is one code point and two units. A `Character` of Swift may be several code
/// points.
public struct CodePoints: Sendable {
    public let text: String

    /// The code points, UTF-32. A NUL, which would be padding, becomes U+FFFD; the tokenizer drops it.
    public let values: [Int32]

    /// The offset of each code point in UTF-16 units, and the length of the text as the last one.
    public let offsets: [Int]

    public init(_ text: String) {
        var values: [Int32] = []
        var offsets = [0]
        for scalar in text.unicodeScalars {
            values.append(scalar.value == 0 ? 0xFFFD : Int32(scalar.value))
            offsets.append(offsets[offsets.count - 1] + (scalar.value > 0xFFFF ? 2 : 1))
        }
        self.text = text
        self.values = values
        self.offsets = offsets
    }

    /// The number of code points.
    public var count: Int { values.count }

    /// Returns `length` code points from `begin` on, with zeros as padding after the last one. Text after them is left
    /// out.
    public func padded(to length: Int, from begin: Int = 0) -> [Int32] {
        let part = values[begin..<min(count, begin + length)]
        return part + Array(repeating: 0, count: length - part.count)
    }

    /// Returns the part of the text between two offsets in code points.
    public func part(_ range: Range<Int>) -> String {
        let scalars = text.unicodeScalars
        let start = scalars.index(scalars.startIndex, offsetBy: range.lowerBound)
        return String(scalars[start..<scalars.index(start, offsetBy: range.count)])
    }

    /// Returns whether all code points from `begin` on are white space.
    public func isBlank(from begin: Int = 0) -> Bool {
        values[begin...].allSatisfy(isWhiteSpace)
    }
}
