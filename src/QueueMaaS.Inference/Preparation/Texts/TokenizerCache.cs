using System.Text.Json;
using QueueMaaS.Contracts;
using QueueMaaS.Jobs.Catalog;

namespace QueueMaaS.Inference.Preparation.Texts;

/// <summary>Keeps the tokenizers of recent model versions in memory: reading one takes longer than most texts. The one unused for longest goes first. Thread-safe.</summary>
public sealed class TokenizerCache(IArtifactStore artifacts)
{
    /// <summary>Most tokenizers kept; a large one takes some 100 MB.</summary>
    public const int Keep = 16;

    private readonly Lock _gate = new();
    private readonly LinkedList<(string Key, Task<LoadedTokenizer> Tokenizer)> _recent = new();

    /// <summary>How many are kept at the moment.</summary>
    public int Count
    {
        get
        {
            lock (_gate)
                return _recent.Count;
        }
    }

    /// <summary>The tokenizer of a pipeline; null for raw texts. Callers at the same time share one load; a failed one is tried again.</summary>
    /// <exception cref="ProblemException"><c>artifact_not_found</c> or <c>pipeline_invalid</c>.</exception>
    internal async Task<LoadedTokenizer?> GetAsync(TextPreparation text, CancellationToken cancellationToken)
    {
        if (text.Kind == TokenizerKind.Raw)
            return null;
        var key = JsonSerializer.Serialize(text, QueueMaaSJson.Relaxed);
        var loading = Find(key, text);
        try
        {
            return await loading.WaitAsync(cancellationToken);
        }
        catch (ProblemException)
        {
            Forget(key, loading);
            throw;
        }
        catch (IOException)
        {
            Forget(key, loading);
            throw;
        }
    }

    private Task<LoadedTokenizer> Find(string key, TextPreparation text)
    {
        lock (_gate)
        {
            for (var node = _recent.First; node is not null; node = node.Next)
            {
                if (node.Value.Key != key)
                    continue;
                _recent.Remove(node);
                _recent.AddFirst(node);
                return node.Value.Tokenizer;
            }

            // No caller's token: one that goes away must not spoil the load for the others.
            var loading = Task.Run(() => LoadAsync(text, CancellationToken.None), CancellationToken.None);
            _recent.AddFirst((key, loading));
            if (_recent.Count > Keep)
                _recent.RemoveLast();
            return loading;
        }
    }

    private void Forget(string key, Task<LoadedTokenizer> failed)
    {
        lock (_gate)
            _recent.Remove((key, failed));
    }

    private async Task<LoadedTokenizer> LoadAsync(TextPreparation text, CancellationToken cancellationToken)
    {
        var vocabulary = await FileAsync("vocabulary", text.Vocabulary!, cancellationToken);
        var merges = text.Merges is null ? null : await FileAsync("merges", text.Merges, cancellationToken);
        return TokenizerFiles.Load(text, vocabulary, merges);
    }

    private async Task<string> FileAsync(string member, string artifact, CancellationToken cancellationToken)
    {
        try
        {
            return await artifacts.GetFileAsync(artifact, cancellationToken);
        }
        catch (ProblemException e) when (e.Problem.Code == ProblemCodes.ArtifactNotFound)
        {
            throw new ProblemException(Problem.Create(e.Problem.Code, $"`pipeline.text.{member}`: {e.Problem.Message}", ("path", $"pipeline.text.{member}"), ("artifact", artifact)), e);
        }
    }
}
