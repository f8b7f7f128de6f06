using System.Text.Json;
using System.Text.Json.Nodes;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Submission;
using QueueMaaS.Training.Recipes;

namespace QueueMaaS.Training.Sweeps;

/// <summary>A sweep with its trials: a function of its input alone, so that every process that looks at it sees the same.</summary>
internal sealed class SweepPlan
{
    /// <summary>Fields that would make trials something else than trials of one training.</summary>
    private static readonly string[] Fixed = ["model", "dataset", "deploy", "gate", "monitor", "trial"];

    private readonly JsonObject _training;

    private SweepPlan(SweepInput input, JsonObject training, IReadOnlyList<IReadOnlyDictionary<string, JsonElement>> points, IReadOnlyList<int> rungs, AutoProposal? proposal)
    {
        Input = input;
        Proposal = proposal;
        _training = training;
        Points = points;
        Rungs = rungs;
    }

    public SweepInput Input { get; }

    /// <summary>What is varied, by trial; trial 1 comes first.</summary>
    public IReadOnlyList<IReadOnlyDictionary<string, JsonElement>> Points { get; }

    /// <summary>The epochs of each rung; one rung unless the method is asha.</summary>
    public IReadOnlyList<int> Rungs { get; }

    /// <summary>The field of the loss that is varied, where one is: the trials' losses cannot be compared then.</summary>
    public string? LossField => Points.Count == 0 ? null : Points[0].Keys.FirstOrDefault(static varied => FieldPath.Parse(varied).Root == "loss");

    /// <summary>Where `seed` is varied: the seed that draws the items of all trials, so that they are validated on the same ones.</summary>
    public long? DataSeed => Points.Count > 0 && Points[0].ContainsKey("seed") ? TrainingDocument.Read(JsonSerializer.SerializeToElement(_training)).Seed ?? 0 : null;

    public bool IsHalving => Input.Search.Method is SearchMethod.Asha or SearchMethod.Auto;

    /// <summary>True where settings are measured and proposed first.</summary>
    public bool IsAuto => Input.Search.Method == SearchMethod.Auto;

    /// <summary>What was proposed, where it was.</summary>
    public AutoProposal? Proposal { get; }

    /// <summary>The reference of the data set.</summary>
    public string Dataset => _training["dataset"]!.GetValue<string>();

    public int Reduction => Input.Search.Reduction ?? 3;

    /// <summary>The name that the best model is registered under.</summary>
    public string Model => _training["model"]!.GetValue<string>();

    /// <summary>The plan of a sweep that was accepted.</summary>
    public static SweepPlan Of(JsonElement json, int maxTrials, AutoProposal? proposal = null) => Make(json, maxTrials, proposal, isNew: false);

    /// <summary>The plan of a sweep that is handed in.</summary>
    /// <exception cref="ProblemException">Whatever is wrong with the sweep itself; its trainings are checked by <see cref="SweepSubmissionCheck"/>.</exception>
    public static SweepPlan OfNew(JsonElement json, int maxTrials) => Make(json, maxTrials, proposal: null, isNew: true);

    /// <summary>The training as it was given, without what is varied.</summary>
    public JsonObject Training() => (JsonObject)_training.DeepClone();

    /// <summary>The training of a trial, as it would be submitted by itself.</summary>
    public JsonObject Training(int trial)
    {
        var training = (JsonObject)_training.DeepClone();
        foreach (var (field, value) in Points[trial - 1])
            FieldPath.Parse(field).Set(training, value);
        return training;
    }

    /// <summary>The training with a single field put to a value.</summary>
    public JsonObject With(string field, JsonElement value)
    {
        var training = (JsonObject)_training.DeepClone();
        FieldPath.Parse(field).Set(training, value);
        return training;
    }

    private static SweepPlan Make(JsonElement json, int maxTrials, AutoProposal? proposal, bool isNew)
    {
        var input = SubmissionReader.ReadInput<SweepInput>(json);
        CheckRanges(input);
        if (input.Training.ValueKind != JsonValueKind.Object)
            throw new ProblemException(ProblemCodes.InvalidRequest, "`training` must be a JSON object: the input of a training job.", ("path", "input.training"));
        // What is varied is put into it by name.
        var training = ContractNames.Of(input.Training, "input.training");
        if (training.ContainsKey("trial"))
            throw Invalid("training.trial", "left out: the service writes it");
        if (input.Register is { } register)
            training["model"] = register;
        else if (training["model"] is null)
            throw Invalid("register", "given where `training` has no `model`: the name to register the best model under");
        if (training["model"] is not JsonValue value || !value.TryGetValue<string>(out var model) || !Identifiers.IsName(model))
            throw Invalid(input.Register is null ? "training.model" : "register", "1 to 64 of lower-case letters, digits and - _ . , beginning with a letter or digit");
        if (isNew)
        {
            RequireReadable(training);
            foreach (var (field, range) in input.Search.Space ?? new Dictionary<string, SearchRange>())
                SearchDimension.RequireDifferent(field, range);
        }

        if (input.Search.Method == SearchMethod.Auto)
            return OfAuto(input, training, proposal);
        var points = SearchPoints.Of(input.Search, maxTrials);
        CheckFields(input.Search, [.. points[0].Keys.Select(FieldPath.Parse)]);
        var plan = new SweepPlan(input, training, points, RungsOf(input, training), null);
        SweepMetric.RequireOneUnit(input.Metric, plan.LossField);
        return plan;
    }

    /// <summary>The training by itself, before anything is varied: what is wrong with it is no fault of the space.</summary>
    private static void RequireReadable(JsonObject training)
    {
        try
        {
            _ = TrainingDocument.Read(JsonSerializer.SerializeToElement(training));
        }
        catch (ProblemException exception)
        {
            var cause = exception.Problem;
            var details = new Dictionary<string, JsonElement>(cause.Details ?? new Dictionary<string, JsonElement>(), StringComparer.Ordinal);
            if (details.TryGetValue("path", out var path) && path.GetString() is { } place)
            {
                place = place.StartsWith("input", StringComparison.Ordinal) ? place["input".Length..].TrimStart('.') : place;
                details["path"] = JsonSerializer.SerializeToElement(place.Length == 0 ? "input.training" : $"input.training.{place}");
            }

            // The reader speaks of an `input`, which is the training here.
            var message = cause.Message.StartsWith("Input ", StringComparison.Ordinal) ? $"It {cause.Message["Input ".Length..]}" : cause.Message;
            throw new ProblemException(new Problem(cause.Code, $"`training` is at fault, whatever is varied: {message}", details), exception);
        }
    }

    private static SweepPlan OfAuto(SweepInput input, JsonObject training, AutoProposal? proposal)
    {
        if (proposal is null)
            return new(input, training, [], [0], null);
        // What the job says itself is kept.
        training = TrainingDocument.Over(JsonObject.Create(proposal.Training)!, training);
        var epochs = TrainingDocument.Read(JsonSerializer.SerializeToElement(training)).Epochs ?? 10;
        return new(input, training, proposal.Points, proposal.Points.Count > 1 && proposal.MinEpochs < epochs ? RungsBetween(proposal.MinEpochs, epochs, 3) : [epochs], proposal);
    }

    private static void CheckFields(SearchSettings search, FieldPath[] paths)
    {
        for (var i = 0; i < paths.Length; i++)
        {
            CheckField(search, paths[i]);
            // One would undo the other, whichever comes first.
            if (Array.Find(paths[..i], paths[i].Overlaps) is { } other)
            {
                throw new ProblemException(
                    ProblemCodes.SearchInvalid, $"`search.space` has the fields `{other.Text}` and `{paths[i].Text}`, of which one lies within the other or is the same. Vary one of them.",
                    ("field", paths[i].Text), ("other", other.Text), ("path", "input.search.space"));
            }
        }
    }

    private static void CheckField(SearchSettings search, FieldPath path)
    {
        if (path.Misspelt() is { } written)
            throw new ProblemException(ProblemCodes.SearchInvalid, $"`search.space` has the field `{path.Text}`; a training has `{written}`. Write it so.", ("field", path.Text), ("path", "input.search.space"));
        if (Fixed.Contains(path.Root, StringComparer.Ordinal))
            throw new ProblemException(ProblemCodes.SearchInvalid, $"`search.space` has the field `{path.Text}`, which is the same for all trials of a sweep. Vary it over several sweeps.", ("field", path.Text), ("path", "input.search.space"));
        if (search.Method == SearchMethod.Asha && path.Text == "epochs")
            throw new ProblemException(ProblemCodes.SearchInvalid, "`search.space` has the field `epochs`, which is what asha gives its trials more and more of. Give it in `training`: the epochs of the highest rung.", ("field", path.Text));
    }

    private static int[] RungsOf(SweepInput input, JsonObject training)
    {
        if (input.Search.Method != SearchMethod.Asha)
            return [0];
        var most = TrainingDocument.Read(JsonSerializer.SerializeToElement(training)).Epochs ?? 10;
        var (least, reduction) = (input.Search.MinEpochs ?? 1, input.Search.Reduction ?? 3);
        if (least >= most)
            throw Invalid("search.minEpochs", $"below the training's `epochs`, which are {most}: asha needs at least two rungs");
        return RungsBetween(least, most, reduction);
    }

    private static int[] RungsBetween(int least, int most, int reduction)
    {
        var rungs = new List<int>();
        for (var epochs = (long)least; epochs * reduction <= most; epochs *= reduction)
            rungs.Add((int)epochs);
        if (rungs.Count == 0)
            rungs.Add(least);
        rungs.Add(most);
        // 1, 3, 9, 27 of 27 epochs, not 1, 3, 9, 27 and 27 again.
        return [.. rungs.Distinct()];
    }

    private static void CheckRanges(SweepInput input)
    {
        if (input.MaxFailedShare is { } share && !(share is >= 0 and <= 1))
            throw Invalid("maxFailedShare", "from 0 to 1");
        if (input.Concurrency is < 1 or > 1000)
            throw Invalid("concurrency", "a whole number from 1 to 1000");
        if (input.TrialAttempts is < 1 or > 20)
            throw Invalid("trialAttempts", "a whole number from 1 to 20");
        var search = input.Search;
        var halving = search.Method == SearchMethod.Asha;
        if (search.Trials is < 1)
            throw Invalid("search.trials", "at least 1");
        if (search.Method == SearchMethod.Grid && search.Trials is not null)
            throw Invalid("search.trials", "left out of a grid, which tries every point");
        if (search.FromGrid && !halving)
            throw Invalid("search.fromGrid", "left out unless the method is `asha`");
        if (!halving && (search.Reduction ?? search.MinEpochs) is not null)
            throw Invalid(search.Reduction is not null ? "search.reduction" : "search.minEpochs", "left out unless the method is `asha`");
        var automatic = search.Method == SearchMethod.Auto;
        if (automatic && (search.Space is not null || search.Trials is not null || search.Seed is not null))
            throw Invalid("search", "only `method` and `minutes` where the method is `auto`, which chooses the rest");
        if (automatic != search.Minutes is not null || search.Minutes is not (null or (> 0 and <= 10_080)))
            throw Invalid("search.minutes", automatic ? "the time budget in minutes, above 0 and at most 10080" : "left out unless the method is `auto`");
        if (search.Reduction is < 2 or > 16)
            throw Invalid("search.reduction", "a whole number from 2 to 16");
        if (search.MinEpochs is < 1)
            throw Invalid("search.minEpochs", "at least 1");
        SweepMetric.Require(input.Metric, task: null);
    }

    private static ProblemException Invalid(string field, string range) => new(ProblemCodes.InvalidValue, $"`{field}` must be {range}.", ("path", $"input.{field}"));
}
