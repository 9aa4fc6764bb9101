import KbertLogic
import SwiftUI

/// Labels with their scores as bars.
struct ScoreBars: View {
    let scores: [ScoredLabel]

    var body: some View {
        VStack(alignment: .leading, spacing: 8) {
            ForEach(Array(scores.enumerated()), id: \.offset) { _, score in
                ProgressView(value: min(max(Double(score.score), 0), 1)) {
                    Text("\(score.label): \(100 * score.score, specifier: "%.1f") %")
                }
            }
        }
    }
}
