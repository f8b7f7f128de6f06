using QueueMaaS.Contracts;

namespace QueueMaaS.Training.Running;

/// <summary>Checks how the data is to be prepared, as far as that needs no data.</summary>
internal static class DataCheck
{
    public static DataPreparation Of(DataPreparation data)
    {
        Check.That(data.Target is null || data.Targets is null, "data.targets", "given", "left out where 'target' is given");
        Check.That(data.Targets is null || data.Targets.Count is >= 1 and <= 1_000, "data.targets", $"{data.Targets?.Count} columns", "1 to 1000 columns");
        foreach (var (name, column) in data.Columns ?? new Dictionary<string, ColumnPreparation>())
            Check.That(column.ClipQuantile is null or (> 0.5 and < 1), $"data.columns.{name}.clipQuantile", column.ClipQuantile, "above 0.5 and below 1");
        Split(data.Split ?? new());
        if (data.Image is { } image)
        {
            Check.That(image.Width is null or (>= 1 and <= 4_096), "data.image.width", image.Width, "from 1 to 4096");
            Check.That(image.Height is null or (>= 1 and <= 4_096), "data.image.height", image.Height, "from 1 to 4096");
            Check.That(image.Channels is null or 1 or 3, "data.image.channels", image.Channels, "1 or 3");
        }

        if (data.Tokens is { } tokens)
        {
            Check.InRange("data.tokens.vocabulary", tokens.Vocabulary, 100, 1_000_000);
            Check.InRange("data.tokens.leastCount", tokens.LeastCount, 1, 1_000_000);
            Check.InRange("data.tokens.length", tokens.Length, 1, 4_096);
        }

        Augmentation(data.Augmentation ?? new());
        return data;
    }

    private static void Split(SplitSettings split)
    {
        var needs = split.Kind is SplitKind.Group or SplitKind.Time or SplitKind.File;
        Check.That(!needs || !string.IsNullOrEmpty(split.Column), "data.split.column", split.Column, "the column that the split goes by");
        Check.That(needs || split.Column is null, "data.split.column", split.Column, "left out unless the split goes by group, time or file");
    }

    private static void Augmentation(AugmentationSettings settings)
    {
        Check.InRange("data.augmentation.crop", settings.Crop, 0, 1_024);
        Check.InRange("data.augmentation.rotation", settings.Rotation, 0, 180);
        Check.InRange("data.augmentation.brightness", settings.Brightness, 0, 1);
        Check.InRange("data.augmentation.contrast", settings.Contrast, 0, 1);
        Check.InRange("data.augmentation.saturation", settings.Saturation, 0, 1);
        Check.InRange("data.augmentation.cutout", settings.Cutout, 0, 4_096);
        Check.InRange("data.augmentation.mixup", settings.Mixup, 0, 100);
        Check.InRange("data.augmentation.cutMix", settings.CutMix, 0, 100);
        Check.InRange("data.augmentation.noise", settings.Noise, 0, 1e6);
    }
}
