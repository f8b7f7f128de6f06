using System.Diagnostics.Metrics;
using Microsoft.Extensions.Time.Testing;
using QueueMaaS.Contracts;
using QueueMaaS.Inference.Batching;

namespace QueueMaaS.Inference.Tests;

public sealed class DynamicBatcherTests : IDisposable
{
    private readonly FakeTimeProvider _time = new();
    private readonly InferenceMetrics _metrics = new();

    public void Dispose() => _metrics.Dispose();

    [Fact]
    public async Task A_single_request_is_computed_at_once()
    {
        await using var batcher = Batcher(new ScriptedInstance());

        var answer = await batcher.InferAsync(Request(1));

        Samples.ToFloats(answer.Outputs[0]).ShouldBe([1f]);
        answer.Receipt.ShouldBe(new(1, "idle", 0, 0));
    }

    [Fact]
    public async Task Requests_that_wait_together_are_computed_together_and_each_gets_its_own_rows()
    {
        var instance = new ScriptedInstance(held: true);
        await using var batcher = Batcher(instance);
        var first = batcher.InferAsync(Request(0));
        await instance.StartedAsync();

        var others = Enumerable.Range(1, 4).Select(i => batcher.InferAsync(Request(i, i + 10))).ToList();
        instance.Permit();
        await Task.WhenAll([first, .. others]);

        instance.Sizes.ShouldBe([1, 8]);
        for (var i = 0; i < others.Count; i++)
        {
            var answer = await others[i];
            Samples.ToFloats(answer.Outputs[0]).ShouldBe([i + 1f, i + 11]);
            answer.Receipt.ShouldBe(new(8, "full", 0, 0));
        }
    }

    [Fact]
    public async Task With_a_delay_a_lone_request_is_computed_when_the_delay_is_over()
    {
        await using var batcher = Batcher(new ScriptedInstance(), delayMs: 20);
        var pending = batcher.InferAsync(Request(1));

        _time.Advance(TimeSpan.FromMilliseconds(19));
        pending.IsCompleted.ShouldBeFalse();
        _time.Advance(TimeSpan.FromMilliseconds(1));

        (await pending).Receipt.ShouldBe(new(1, "delay", 20, 0));
    }

    [Fact]
    public async Task While_people_ask_a_batch_job_leaves_one_instance_free()
    {
        ScriptedInstance[] instances = [new(held: true), new(held: true)];
        await using var batcher = new DynamicBatcher(new() { Model = "m", Version = 1, MaxBatchSize = 1 }, instances, _time, _metrics);
        Task[] started = [.. instances.Select(static instance => instance.StartedAsync())];
        var first = batcher.InferAsync(Request(1));
        await Task.WhenAny(started);

        // The second instance is idle, and stays so for whoever asks next.
        var background = batcher.InferAsync(Request(2) with { Priority = 4 });
        var waiting = batcher.QueuedRows;
        var usual = batcher.InferAsync(Request(3));
        await Task.WhenAll(started);
        var waitingStill = batcher.QueuedRows;
        foreach (var instance in instances)
            instance.Permit();
        await Task.WhenAll(first, background, usual);
        (waiting, waitingStill).ShouldBe((1, 1));

        instances.Sum(static instance => instance.Sizes.Count).ShouldBe(3);
    }

    [Fact]
    public async Task A_request_larger_than_a_batch_is_split_and_joined_again()
    {
        var instance = new ScriptedInstance();
        await using var batcher = Batcher(instance);
        var values = Enumerable.Range(0, 21).Select(i => (float)i).ToArray();

        var answer = await batcher.InferAsync(Request(values));

        Samples.ToFloats(answer.Outputs[0]).ShouldBe(values);
        instance.Sizes.ShouldBe([8, 8, 5]);
        answer.Receipt.Size.ShouldBe(8);
    }

    [Fact]
    public async Task A_poisoned_request_fails_alone_in_few_more_runs()
    {
        var instance = new ScriptedInstance(held: true);
        await using var batcher = Batcher(instance, maxBatchSize: 64);
        var first = batcher.InferAsync(Request(0));
        await instance.StartedAsync();
        var mates = Enumerable.Range(1, 64).Select(i => batcher.InferAsync(Request(i == 37 ? -1 : i))).ToList();
        instance.Permit();

        var problem = await Samples.ShouldFailAsync(mates[36], ProblemCodes.ModelExecutionFailed);
        problem.Message.ShouldNotContain("InvalidOperation");
        mates.RemoveAt(36);
        var answers = await Task.WhenAll([first, .. mates]);

        answers.Select(a => Samples.ToFloats(a.Outputs[0])[0]).Order().ShouldBe(Enumerable.Range(0, 65).Where(i => i != 37).Select(i => (float)i));
        instance.Sizes.Count.ShouldBeLessThanOrEqualTo(2 + 2 * 6);
    }

    [Fact]
    public async Task A_caller_that_has_gone_away_is_not_computed_for()
    {
        var instance = new ScriptedInstance(held: true);
        await using var batcher = Batcher(instance);
        var first = batcher.InferAsync(Request(0));
        await instance.StartedAsync();
        using var cancel = new CancellationTokenSource();

        var gone = batcher.InferAsync(Request(1), cancel.Token);
        var stays = batcher.InferAsync(Request(2));
        await cancel.CancelAsync();
        instance.Permit();

        await Should.ThrowAsync<TaskCanceledException>(gone);
        await Task.WhenAll(first, stays);
        instance.Sizes.ShouldBe([1, 1]);
    }

    [Fact]
    public async Task A_running_batch_is_stopped_when_nobody_waits_for_it_any_more()
    {
        var instance = new ScriptedInstance(held: true);
        await using var batcher = Batcher(instance);
        using var cancel = new CancellationTokenSource();
        var gone = batcher.InferAsync(Request(1), cancel.Token);
        await instance.StartedAsync();

        await cancel.CancelAsync();

        await Should.ThrowAsync<TaskCanceledException>(gone);
        instance.LastStop.IsCancellationRequested.ShouldBeTrue();
        instance.Permit();
    }

    [Fact]
    public async Task A_deadline_that_passes_in_the_queue_fails_the_request_uncomputed()
    {
        var instance = new ScriptedInstance(held: true);
        await using var batcher = Batcher(instance);
        var first = batcher.InferAsync(Request(0));
        await instance.StartedAsync();
        var late = batcher.InferAsync(Request(1) with { Deadline = _time.GetUtcNow() + TimeSpan.FromSeconds(1) });

        _time.Advance(TimeSpan.FromSeconds(1));

        await Samples.ShouldFailAsync(late, ProblemCodes.DeadlineExceeded);
        instance.Permit();
        await first;
        instance.Sizes.ShouldBe([1]);
        await Samples.ShouldFailAsync(batcher.InferAsync(Request(1) with { Deadline = _time.GetUtcNow() }), ProblemCodes.DeadlineExceeded);
    }

    [Fact]
    public async Task A_full_queue_refuses_where_it_is_told_to_and_else_callers_wait_for_room()
    {
        var (refusing, patient) = (new ScriptedInstance(held: true), new ScriptedInstance(held: true));
        await using var refuses = Batcher(refusing, maxQueueRows: 1, reject: true);
        await using var waits = Batcher(patient, maxQueueRows: 1);
        Task<BatchResponse>[] running = [refuses.InferAsync(Request(0)), waits.InferAsync(Request(0))];
        await Task.WhenAll(refusing.StartedAsync(), patient.StartedAsync());
        Task<BatchResponse>[] queued = [refuses.InferAsync(Request(1)), waits.InferAsync(Request(1))];

        await Samples.ShouldFailAsync(refuses.InferAsync(Request(2)), ProblemCodes.QueueFull);
        var waiting = waits.InferAsync(Request(2));
        waits.QueuedRows.ShouldBe(1);
        refusing.Permit();
        patient.Permit();

        await Task.WhenAll([.. running, .. queued, waiting]);
    }

    [Fact]
    public async Task Shutting_down_finishes_what_was_accepted_and_takes_no_more()
    {
        var instance = new ScriptedInstance(held: true);
        var batcher = Batcher(instance, delayMs: 1000);
        var accepted = Enumerable.Range(0, 5).Select(i => batcher.InferAsync(Request(i))).ToList();

        var closing = batcher.DisposeAsync().AsTask();
        await Samples.ShouldFailAsync(batcher.InferAsync(Request(9)), ProblemCodes.Unavailable);
        closing.IsCompleted.ShouldBeFalse();
        instance.Permit();

        await Task.WhenAll(accepted);
        await closing;
        instance.IsDisposed.ShouldBeTrue();
    }

    [Fact]
    public async Task Sixty_four_callers_get_each_their_own_answer()
    {
        var instance = new ScriptedInstance();
        await using var batcher = Batcher(instance, maxBatchSize: 32, instances: [instance, new ScriptedInstance()]);

        await Task.WhenAll(Enumerable.Range(0, 64).Select(caller => Task.Run(async () =>
        {
            for (var i = 0; i < 200; i++)
            {
                var value = caller * 1000 + i;
                if (i % 50 == 49)
                    await Samples.ShouldFailAsync(batcher.InferAsync(Request(-1)), ProblemCodes.ModelExecutionFailed);
                else
                    Samples.ToFloats((await batcher.InferAsync(Request(value, value + 0.5f))).Outputs[0]).ShouldBe([value, value + 0.5f]);
            }
        })));

        batcher.QueuedRows.ShouldBe(0);
        instance.Sizes.Max().ShouldBeLessThanOrEqualTo(32);
    }

    [Fact]
    public async Task Answers_keep_the_order_of_the_requests_where_that_is_asked_for()
    {
        var instance = new ScriptedInstance(held: true);
        await using var batcher = new DynamicBatcher(new() { Model = "m", Version = 1, MaxBatchSize = 1, PreserveOrdering = true }, [instance], _time, _metrics);
        var first = batcher.InferAsync(Request(0));
        await instance.StartedAsync();
        var later = Enumerable.Range(1, 9).Select(i => batcher.InferAsync(Request(i) with { Priority = i })).ToList();
        var checks = later.Select(CheckAsync).ToList();
        instance.Permit();
        await Task.WhenAll([first, .. checks]);

        // The highest priority goes first to the model and comes last to its caller.
        instance.Sizes.Count.ShouldBe(10);

        async Task CheckAsync(Task<BatchResponse> answer, int place)
        {
            await answer;
            later.Take(place).ShouldAllBe(earlier => earlier.IsCompleted);
        }
    }

    [Fact]
    public async Task A_deadline_that_cannot_be_met_is_refused_at_once_and_others_are_told_when_to_expect_theirs()
    {
        var instance = new ScriptedInstance(held: true, took: () => _time.Advance(TimeSpan.FromMilliseconds(100)));
        await using var batcher = Batcher(instance, maxBatchSize: 1);
        batcher.Estimate(1).ShouldBeNull();
        for (var i = 0; i < 6; i++)
        {
            var one = batcher.InferAsync(Request(i));
            await instance.StartedAsync();
            instance.Permit(1);
            await one;
        }

        var running = batcher.InferAsync(Request(0));
        await instance.StartedAsync();
        var queued = batcher.InferAsync(Request(1));
        var estimate = batcher.Estimate(1)!.Value;
        var refused = batcher.InferAsync(Request(2) with { Deadline = _time.GetUtcNow() + TimeSpan.FromMilliseconds(250) });

        estimate.Start.TotalMilliseconds.ShouldBe(200, 1);
        estimate.Finish.TotalMilliseconds.ShouldBe(300, 1);
        refused.IsFaulted.ShouldBeTrue();
        (await Samples.ShouldFailAsync(refused, ProblemCodes.DeadlineExceeded)).Message.ShouldContain("300 ms");
        var accepted = batcher.InferAsync(Request(2) with { Deadline = _time.GetUtcNow() + TimeSpan.FromMilliseconds(400) });
        instance.Permit();
        await Task.WhenAll(running, queued, accepted);
    }

    [Fact]
    public async Task A_request_whose_answer_is_not_finite_fails_alone()
    {
        var instance = new ScriptedInstance(held: true);
        await using var batcher = new DynamicBatcher(new() { Model = "m", Version = 1, MaxBatchSize = 64, RejectNonFinite = true }, [instance], _time, _metrics);
        var first = batcher.InferAsync(Request(0));
        await instance.StartedAsync();
        var mates = Enumerable.Range(1, 64).Select(i => batcher.InferAsync(Request(i == 20 ? float.NaN : i))).ToList();
        instance.Permit();

        (await Samples.ShouldFailAsync(mates[19], ProblemCodes.ModelExecutionFailed)).Message.ShouldContain("not finite");
        mates.RemoveAt(19);
        (await Task.WhenAll([first, .. mates])).Length.ShouldBe(64);
        instance.Sizes.ShouldBe([1, 64, 1]);
    }

    [Fact]
    public async Task Requests_without_a_deadline_get_the_default_timeout_and_run_late_where_that_is_set()
    {
        var (strict, lenient) = (new ScriptedInstance(held: true), new ScriptedInstance(held: true));
        var settings = new BatcherSettings { Model = "m", Version = 1, DefaultTimeout = TimeSpan.FromSeconds(1) };
        await using var rejects = new DynamicBatcher(settings, [strict], _time, _metrics);
        await using var runsLate = new DynamicBatcher(settings with { RunLate = true }, [lenient], _time, _metrics);
        Task<BatchResponse>[] running = [rejects.InferAsync(Request(0)), runsLate.InferAsync(Request(0))];
        await Task.WhenAll(strict.StartedAsync(), lenient.StartedAsync());
        var (rejected, late) = (rejects.InferAsync(Request(1)), runsLate.InferAsync(Request(1)));

        _time.Advance(TimeSpan.FromSeconds(1));

        await Samples.ShouldFailAsync(rejected, ProblemCodes.DeadlineExceeded);
        strict.Permit();
        lenient.Permit();
        Samples.ToFloats((await late).Outputs[0]).ShouldBe([1f]);
        await Task.WhenAll(running);
    }

    [Fact]
    public async Task Every_batch_is_measured_with_its_size_and_why_it_was_closed()
    {
        var measured = new List<(string Name, double Value, string Reason)>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, l) =>
        {
            if (instrument.Meter.Name == InferenceMetrics.MeterName)
                l.EnableMeasurementEvents(instrument);
        };
        listener.SetMeasurementEventCallback<int>((i, v, tags, _) => Record(i.Name, v, tags));
        listener.SetMeasurementEventCallback<double>((i, v, tags, _) => Record(i.Name, v, tags));
        listener.Start();
        await using var batcher = Batcher(new ScriptedInstance(), delayMs: 10, model: "measured");

        var pending = batcher.InferAsync(Request(1, 2));
        _time.Advance(TimeSpan.FromMilliseconds(10));
        await pending;

        measured.ShouldBe([("queuemaas_batch_queue_seconds", 0.01, "delay"), ("queuemaas_batch_size", 2, "delay"), ("queuemaas_batch_compute_seconds", 0, "delay")]);

        void Record(string name, double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            // Other tests have meters of the same name.
            if (Equals(tags[0].Value, "measured"))
                measured.Add((name, value, (string)tags[2].Value!));
        }
    }

    private DynamicBatcher Batcher(
        ScriptedInstance instance, int maxBatchSize = 8, int delayMs = 0, int maxQueueRows = 4096, bool reject = false, string model = "model", IModelInstance[]? instances = null) =>
        new(
            new()
            {
                Model = model,
                Version = 1,
                MaxBatchSize = maxBatchSize,
                MaxQueueDelay = TimeSpan.FromMilliseconds(delayMs),
                MaxQueueRows = maxQueueRows,
                RejectWhenFull = reject,
            },
            instances ?? [instance], _time, _metrics);

    private static BatchRequest Request(params float[] values) => new() { Inputs = [Samples.Floats("x", [values.Length], values)], Rows = values.Length };
}
