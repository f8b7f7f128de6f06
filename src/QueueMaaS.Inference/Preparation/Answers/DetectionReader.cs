using QueueMaaS.Contracts;
using QueueMaaS.Inference.Preparation.Images;
using QueueMaaS.Inference.Tensors;

namespace QueueMaaS.Inference.Preparation.Answers;

/// <summary>Turns a detector's outputs into objects with boxes in the pixels of the image that came.</summary>
internal sealed class DetectionReader(DetectionAnswer settings, IReadOnlyList<string>? labels, ImagePreparation image)
{
    private const int BoxFields = 4;

    /// <summary>The objects of each row.</summary>
    /// <param name="outputs">The model's outputs.</param>
    /// <param name="placement">Where the image lies in the model's input; all rows are of that image.</param>
    public IReadOnlyList<IReadOnlyList<Detection>> Read(IReadOnlyList<TensorBuffer> outputs, ImagePlacement placement)
    {
        var boxes = Find(outputs, settings.Boxes);
        var candidates = settings.Layout == DetectionLayout.Separate ? Separate(boxes, outputs) : Single(boxes);
        return [.. candidates.Select(row => BoxSuppression.Suppress(row, settings.Suppression, settings.IouThreshold, settings.MaxDetections)
            .Select(candidate => Place(candidate, placement)).OfType<Detection>().ToArray())];
    }

    private List<Candidate>[] Separate(TensorBuffer boxes, IReadOnlyList<TensorBuffer> outputs)
    {
        if (boxes.Shape is not [var rows, var count, BoxFields])
            throw OutputNumbers.Misshapen(boxes, "boxes [N, M, 4]");
        var scores = Find(outputs, settings.Scores);
        var classes = settings.Classes is null ? null : Find(outputs, settings.Classes);
        var fits = classes is null
            ? scores.Shape is [var r, var c, > 0] && r == rows && c == count
            : scores.Shape.AsSpan().SequenceEqual([rows, count]) && classes.Shape.AsSpan().SequenceEqual([rows, count]);
        if (!fits)
            throw OutputNumbers.Misshapen(scores, classes is null ? $"scores [{rows}, {count}, classes]" : $"scores and classes [{rows}, {count}]");
        var corners = OutputNumbers.ToSingle(boxes);
        var values = OutputNumbers.ToSingle(scores);
        var indexes = classes is null ? null : OutputNumbers.ToDouble(classes);
        var perBox = classes is null ? (int)scores.Shape[2] : 1;
        return Collect((int)rows, (int)count, scores.Name, perBox, (box, target) => Scores(values.AsSpan(box * perBox, perBox), 1, target), (box, best) =>
        {
            var at = box * BoxFields;
            return ((corners[at], corners[at + 1], corners[at + 2], corners[at + 3]), indexes is null ? best : (int)Math.Round(Math.Clamp(indexes[box], 0, int.MaxValue)));
        });
    }

    private List<Candidate>[] Single(TensorBuffer output)
    {
        var first = BoxFields + (settings.Objectness ? 1 : 0);
        if (output.Shape is not [var rows, var one, var two])
            throw OutputNumbers.Misshapen(output, "three axes");
        var (fields, count) = settings.Layout == DetectionLayout.FieldsFirst ? (one, two) : (two, one);
        if (fields <= first)
            throw OutputNumbers.Misshapen(output, $"more than {first} numbers for each box");
        var values = OutputNumbers.ToSingle(output);
        var (perRow, classes) = ((int)(fields * count), (int)fields - first);
        var (stride, step) = settings.Layout == DetectionLayout.FieldsFirst ? (1, (int)count) : ((int)fields, 1);
        return Collect((int)rows, (int)count, output.Name, classes, (box, target) =>
        {
            var at = Start(box);
            Scores(values.AsSpan(at + first * step), step, target);
            if (settings.Objectness)
            {
                Span<float> objectness = [values[at + BoxFields * step]];
                Scores(objectness, 1, objectness);
                for (var i = 0; i < target.Length; i++)
                    target[i] *= objectness[0];
            }
        }, (box, best) =>
        {
            var at = Start(box);
            return ((values[at], values[at + step], values[at + 2 * step], values[at + 3 * step]), best);
        });

        int Start(int box) => box / (int)count * perRow + box % (int)count * stride;
    }

    private delegate void ScoreWriter(int box, Span<float> scores);

    private List<Candidate>[] Collect(int rows, int count, string output, int classes, ScoreWriter score, Func<int, int, ((float, float, float, float) Corners, int Class)> box)
    {
        var found = new List<Candidate>[rows];
        var scores = new float[classes];
        for (var row = 0; row < rows; row++)
        {
            found[row] = [];
            for (var i = 0; i < count; i++)
            {
                score(row * count + i, scores);
                var best = 0;
                for (var k = 1; k < classes; k++)
                {
                    if (scores[k] > scores[best])
                        best = k;
                }

                if (!float.IsFinite(scores[best]))
                    throw OutputNumbers.NotFinite(output, row, "its objects cannot be told");
                if (scores[best] < settings.ScoreThreshold)
                    continue;
                var (corners, index) = box(row * count + i, best);
                var candidate = ToCandidate(corners, scores[best], index);
                if (!float.IsFinite(candidate.Left + candidate.Top + candidate.Right + candidate.Bottom))
                    throw OutputNumbers.NotFinite(settings.Boxes ?? output, row, "its boxes cannot be told");
                found[row].Add(candidate);
            }
        }

        return found;
    }

    private void Scores(ReadOnlySpan<float> values, int step, Span<float> target)
    {
        for (var i = 0; i < target.Length; i++)
            target[i] = values[i * step];
        // A softmax over one number is always 1.
        if (settings.Function == ScoreFunction.Softmax && target.Length == 1)
            return;
        LabelRanking.Score(target, settings.Function, target);
    }

    private Candidate ToCandidate((float A, float B, float C, float D) box, float score, int index)
    {
        var (a, b, c, d) = box;
        var (left, top, right, bottom) = (settings.Format ?? (settings.Layout == DetectionLayout.Separate ? BoxFormat.Xyxy : BoxFormat.Cxcywh)) switch
        {
            BoxFormat.Cxcywh => (a - c / 2, b - d / 2, a + c / 2, b + d / 2),
            BoxFormat.Xywh => (a, b, a + c, b + d),
            BoxFormat.Yxyx => (b, a, d, c),
            _ => (a, b, c, d),
        };
        var (width, height) = settings.Normalised ? (image.Width, image.Height) : (1, 1);
        return new(left * width, top * height, right * width, bottom * height, score, index);
    }

    /// <summary>Back to the image's pixels, cut at its edges; null where nothing of it is left.</summary>
    private Detection? Place(in Candidate found, ImagePlacement placement)
    {
        var left = Math.Clamp((found.Left - placement.OffsetX) / placement.ScaleX, 0, placement.Width);
        var right = Math.Clamp((found.Right - placement.OffsetX) / placement.ScaleX, 0, placement.Width);
        var top = Math.Clamp((found.Top - placement.OffsetY) / placement.ScaleY, 0, placement.Height);
        var bottom = Math.Clamp((found.Bottom - placement.OffsetY) / placement.ScaleY, 0, placement.Height);
        if (right <= left || bottom <= top)
            return null;
        var label = labels is not null && found.Class < labels.Count ? labels[found.Class] : null;
        return new(label, found.Class, Math.Round(found.Score, 6), new(Round(left), Round(top), Round(right - left), Round(bottom - top)));
    }

    private static double Round(double pixels) => Math.Round(pixels, 3);

    private static TensorBuffer Find(IReadOnlyList<TensorBuffer> outputs, string? name) => name is null ? outputs[0] : outputs.First(o => o.Name == name);
}
