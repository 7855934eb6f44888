// Columns of text.

/// A table whose columns are as wide as their widest cell. The last column is never padded.
struct Table {
    private var rows: [[String]]

    init(_ header: [String]) { rows = [header] }

    mutating func add(_ cells: [String]) { rows.append(cells) }
    var isEmpty: Bool { rows.count == 1 }

    /// One line for each row; with `header` the first one too.
    func lines(indent: Int = 0, header: Bool = true) -> [String] {
        let shown = header ? rows : Array(rows.dropFirst())
        let columns = shown.map(\.count).max() ?? 0
        let widths = (0..<columns).map { column in shown.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return shown.map { row in
            var line = String(repeating: " ", count: indent)
            for (column, cell) in row.enumerated() {
                line += cell
                let isLast = column == row.count - 1 || row[(column + 1)...].allSatisfy(\.isEmpty)
                if isLast { break }
                line += String(repeating: " ", count: widths[column] - cell.count + 3)
            }
            return line
        }
    }
}
