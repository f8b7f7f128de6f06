using QueueMaaS.Contracts;
using QueueMaaS.Training.Specification;

namespace QueueMaaS.Training.Feeding;

/// <summary>Varies whole batches: mixup, CutMix, noise. A batch's pairs are drawn from the seed, the epoch and its number.</summary>
internal sealed class BatchMixer
{
    private readonly AugmentationSettings _settings;

    private BatchMixer(AugmentationSettings settings) => _settings = settings;

    public static BatchMixer? For(AugmentationSettings? settings, TrainingTask task) =>
        settings is null or { Mixup: 0, CutMix: 0, Noise: 0 } || (task == TrainingTask.Autoencoding && settings.Noise == 0) ? null : new(settings);

    public void Mix(ExampleBatch batch, ExampleSet data, long seed, int epoch, int number)
    {
        var random = Seeds.Generator(seed, "mix", epoch, number);
        // With both asked for, each batch gets one of them.
        var cut = _settings.CutMix > 0 && data.Inputs.Shape.IsImage && (_settings.Mixup == 0 || random.NextDouble() < 0.5);
        if (data.Targets.Task != TrainingTask.Autoencoding && !data.Inputs.Shape.IsTokens && (cut || _settings.Mixup > 0))
            Pair(batch, data, random, cut);
        if (_settings.Noise > 0 && !data.Inputs.Shape.IsTokens)
            AddNoise(batch.Inputs.AsSpan(0, batch.Count * data.Inputs.Width), random);
    }

    private void Pair(ExampleBatch batch, ExampleSet data, Random random, bool cut)
    {
        var (width, outputs) = (data.Inputs.Width, data.Targets.Outputs);
        if (!batch.InRows)
            ToShares(batch, outputs);
        var share = Beta(cut ? _settings.CutMix : _settings.Mixup, random);
        var inputs = (float[])batch.Inputs.Clone();
        var rows = (float[])batch.Rows.Clone();
        var order = Enumerable.Range(0, batch.Count).ToArray();
        random.Shuffle(order);
        var shape = data.Inputs.Shape.Sizes;
        var area = cut ? Area.Draw(shape[1], shape[2], share, random) : default;
        if (cut)
            share = 1 - (double)area.Size / (shape[1] * shape[2]);
        for (var i = 0; i < batch.Count; i++)
        {
            var other = inputs.AsSpan(order[i] * width, width);
            var own = batch.Inputs.AsSpan(i * width, width);
            if (cut)
                area.Copy(other, own, shape[0], shape[1], shape[2]);
            else
                Blend(own, other, share);
            Blend(batch.Rows.AsSpan(i * outputs, outputs), rows.AsSpan(order[i] * outputs, outputs), share);
        }
    }

    private static void ToShares(ExampleBatch batch, int outputs)
    {
        batch.Rows.AsSpan(0, batch.Count * outputs).Clear();
        for (var i = 0; i < batch.Count; i++)
            batch.Rows[i * outputs + (int)batch.Classes[i]] = 1;
        batch.InRows = true;
    }

    private static void Blend(Span<float> own, ReadOnlySpan<float> other, double share)
    {
        for (var i = 0; i < own.Length; i++)
            own[i] = (float)(share * own[i] + (1 - share) * other[i]);
    }

    private void AddNoise(Span<float> values, Random random)
    {
        for (var i = 0; i < values.Length; i++)
            values[i] += (float)(_settings.Noise * Normal(random));
    }

    /// <summary>Two gamma variables give a beta one.</summary>
    private static double Beta(double alpha, Random random)
    {
        var (a, b) = (Gamma(alpha, random), Gamma(alpha, random));
        return a + b > 0 ? a / (a + b) : 0.5;
    }

    /// <summary>Marsaglia and Tsang, "A simple method for generating gamma variables", 2000.</summary>
    private static double Gamma(double shape, Random random)
    {
        if (shape < 1)
            return Gamma(shape + 1, random) * Math.Pow(1 - random.NextDouble(), 1 / shape);
        var d = shape - 1.0 / 3;
        var c = 1 / Math.Sqrt(9 * d);
        while (true)
        {
            var x = Normal(random);
            var v = Math.Pow(1 + c * x, 3);
            if (v > 0 && Math.Log(1 - random.NextDouble()) < x * x / 2 + d - d * v + d * Math.Log(v))
                return d * v;
        }
    }

    private static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());

    /// <summary>A rectangle of an image.</summary>
    private readonly record struct Area(int Top, int Left, int Bottom, int Right)
    {
        public int Size => (Bottom - Top) * (Right - Left);

        public static Area Draw(int height, int width, double kept, Random random)
        {
            var side = Math.Sqrt(1 - kept);
            var (middleY, middleX) = (random.Next(height), random.Next(width));
            var (halfY, halfX) = ((int)(height * side / 2), (int)(width * side / 2));
            return new(Math.Max(0, middleY - halfY), Math.Max(0, middleX - halfX), Math.Min(height, middleY + halfY), Math.Min(width, middleX + halfX));
        }

        public void Copy(ReadOnlySpan<float> from, Span<float> to, int channels, int height, int width)
        {
            for (var c = 0; c < channels; c++)
            {
                for (var y = Top; y < Bottom; y++)
                    from.Slice((c * height + y) * width + Left, Right - Left).CopyTo(to[((c * height + y) * width + Left)..]);
            }
        }
    }
}
