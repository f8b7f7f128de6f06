using QueueMaaS.Contracts;
using QueueMaaS.Data.Tables;
using QueueMaaS.Data.Texts;
using QueueMaaS.Training.Feeding;
using QueueMaaS.Training.Running;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Preparation;

/// <summary>Makes training items of texts: a vocabulary out of the training texts, then ids of a fixed length.</summary>
internal static class TextPreparer
{
    private static readonly string[] UsualNames = ["text", "sentence", "review", "content"];

    /// <summary>The column with the texts where the table is one of texts: named by the job, or in JSON Lines by its usual names; null for other tables.</summary>
    public static TableField? TextColumn(TableData table, TrainingSettings settings)
    {
        if (settings.Data.Text is { } named)
            return table.Require(named, "data.text");
        return table.Format == "jsonl" || settings.Preset is "text-cnn" or "transformer-small" or "lstm"
            ? UsualNames.Select(table.Find).FirstOrDefault(c => c is not null)
            : null;
    }

    public static PreparedData Prepare(TableData table, TableField texts, TrainingSettings settings, string workFolder)
    {
        if (settings.Task == TrainingTask.Autoencoding)
            throw new ProblemException(ProblemCodes.InvalidValue, "Texts cannot be learned by autoencoding: their tokens are no numbers.", ("field", "task"));
        var target = TableTarget.Find(table, settings, texts.Name);
        var (rows, incomplete) = TableRows.Usable(table, target, settings, row => texts.Values[row] is not null);
        var classes = target.Classes(rows);
        var (split, report) = ItemSplit.Of(TableRows.SplitItems(table, rows, classes?.Classes, settings, LeakAction.Remove, row => texts.Values[row]!), settings);
        var tokens = settings.Data.Tokens ?? new();
        var vocabulary = WordVocabulary.Build(split.Train.Select(i => texts.Values[rows[i]]!), tokens.Vocabulary, tokens.LeastCount, tokens.LowerCase);
        var path = Path.Combine(workFolder, "vocab.txt");
        File.WriteAllText(path, string.Join('\n', vocabulary) + "\n");
        var targets = target.Read(rows, classes, split.Train, tokens.Length);
        return new()
        {
            Examples = new()
            {
                Inputs = new NumberInputs(Encode(texts, rows, path, tokens), TensorShape.Tokens(tokens.Length)),
                Targets = targets,
                Split = split,
                Tokens = vocabulary.Count,
            },
            Pipeline = TableRows.Answers(
                new()
                {
                    // The vocabulary's artifact is filled in where it is stored.
                    Text = new() { Kind = TokenizerKind.WordPiece, LowerCase = tokens.LowerCase, StartToken = "", EndToken = "", MaxLength = tokens.Length, Padding = TextPadding.Fixed, PadId = 0 },
                },
                targets),
            DefaultPreset = "text-cnn",
            Corrupt = new(0, 0, []),
            Report = report with { Incomplete = incomplete },
            VocabularyPath = path,
        };
    }

    private static float[] Encode(TableField texts, int[] rows, string vocabulary, TokenSettings tokens)
    {
        var pieces = WordPieceText.Load(vocabulary, tokens.LowerCase);
        var values = new float[checked(rows.Length * tokens.Length)];
        for (var i = 0; i < rows.Length; i++)
        {
            var ids = pieces.Encode(texts.Values[rows[i]]!, tokens.Length);
            for (var t = 0; t < Math.Min(ids.Count, tokens.Length); t++)
                values[i * tokens.Length + t] = ids[t];
        }

        return values;
    }
}
